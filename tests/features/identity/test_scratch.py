from tests.world import PASSWORD

def test_login(world):
    c = world.anonymous()
    r = c.get("/private?x=1"); print(r.status_code, r.headers.get("location"))
    r = c.get("/login?next=/private"); assert r.status_code == 200; print(r.text)
    r = c.post_form("/login", {"username": "Anna ", "password": PASSWORD, "next": "/private"})
    print(r.status_code, r.headers)
    assert r.status_code == 303
    assert c.get("/private").status_code == 200
    r = c.post_form("/login", {"username": "anna", "password": "feil", "next": "/private"}); print(r.status_code, r.text[2000:4000])
    for e in world.audit(): print(e["kind"], e["actor_name"], e["details"], e["unit_id"])
    r=c.post_form("/logout"); print(r.status_code)
    print(c.get("/").text[:3000])
