import pytest
def test_pages(school, world):
    from dask_platform.features.courses.load import load_content
    from pathlib import Path
    with world.owner() as u:
        load_content(u, world.platform.files, Path("content"), now=world.clock.now())
    anna=world.client("anna"); tora=world.client("tora")
    c=world.id("class nord")
    for who,url in ((anna,"/classes"),(anna,f"/classes/{c}"),(anna,f"/classes/{c}/items/les"),(anna,f"/classes/{c}/items/brev"),
      (tora,"/classes"),(tora,f"/classes/{c}"),(tora,f"/classes/{c}/people"),(tora,f"/classes/{c}/readings"),(tora,f"/classes/{c}/deadlines"),(tora,f"/classes/{c}/deadlines/{world.id('brev')}"),
      (tora,"/courses"),(tora,"/courses/new"),(tora,f"/courses/{world.id('course')}"),(tora,f"/courses/{world.id('course')}/classes/new"),(tora,f"/courses/{world.id('course')}/items/les")):
        r=who.get(url)
        print(url,r.status_code)
        assert r.status_code in (200,303),(url,r.text)
