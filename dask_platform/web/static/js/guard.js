/* Runs before anything of a site whose own script runs, in that site's own origin.

   It is not the wall: the page's policy and the broker are. It closes what no policy can say:
   - going somewhere else. Every navigation out of the origin becomes a request to our own door,
     which decides and says why not;
   - what one person leaves on the PC for the next: storage is emptied when the session is another;
   - cookies, which are kept in the page and end with it;
   - a page that throws away everything it began with: the bar is put back.
   It takes what it needs before the page can change it. */
"use strict";

(function () {
  const here = document.currentScript;
  const { school, go, session } = here.dataset;
  here.remove();
  const origin = location.origin;
  const later = setTimeout;
  const assign = location.assign.bind(location);
  const { URL, encodeURIComponent, Map } = window;
  const { apply } = Reflect;
  const define = Object.defineProperty;
  const getter = (made, name) => Object.getOwnPropertyDescriptor(made.prototype, name).get;

  /* Ways out */
  if (window.navigation) {
    const destinationOf = getter(NavigateEvent, "destination");
    const urlOf = getter(NavigationDestination, "url");
    const [originOf, protocolOf] = [getter(URL, "origin"), getter(URL, "protocol")];
    const { preventDefault, stopImmediatePropagation } = Event.prototype;
    window.navigation.addEventListener("navigate", function (event) {
      const to = apply(urlOf, apply(destinationOf, event, []), []);
      const url = new URL(to);
      const protocol = apply(protocolOf, url, []);
      // A blob: has this origin too, and would be a page without a guard.
      const plain = protocol === "https:" || protocol === "http:";
      const there = apply(originOf, url, []);
      if (plain && (there === origin || there === school)) return;
      apply(preventDefault, event, []);
      apply(stopImmediatePropagation, event, []);
      if (plain) later(assign, 0, go + encodeURIComponent(to));
    });
  }

  /* What the last one left */
  function empty(storage) {
    try {
      if (storage().getItem("dask-session") === session) return;
      storage().clear();
      storage().setItem("dask-session", session);
    } catch {
      // The browser keeps none.
    }
  }
  empty(() => window.localStorage);
  empty(() => window.sessionStorage);
  window.name = "";

  /* Cookies of the page */
  const jar = new Map();
  define(Document.prototype, "cookie", {
    configurable: false,
    get: () => Array.from(jar, ([name, value]) => name + "=" + value).join("; "),
    set: function (line) {
      const [pair, ...rest] = String(line).split(";");
      const at = pair.indexOf("=");
      const name = pair.slice(0, at < 0 ? 0 : at).trim();
      const ends = rest.map((one) => one.trim().toLowerCase().split("="));
      const gone = ends.some(
        ([key, value]) =>
          (key === "max-age" && Number(value) <= 0) ||
          (key === "expires" && Date.parse(value) < Date.now()),
      );
      if (gone) jar.delete(name);
      else if (jar.size < 50 || jar.has(name)) jar.set(name, pair.slice(at + 1).trim());
    },
  });
  define(window, "cookieStore", { configurable: false, value: undefined });

  /* Frames. What one would show is shut by the policy; but an empty frame is a second window, in
     which everything that is taken away here is still there. So none is made: neither by name nor
     in text, which the policy sends through here (Trusted Types), nor in a document that was
     fetched or written in pieces. */
  const frames = new Set(["iframe", "frame", "object", "embed", "fencedframe", "portal"]);
  const { has } = Set.prototype;
  const { toLowerCase, replace, slice, split } = String.prototype;
  for (const [maker, name, at] of [
    [Document, "createElement", 0],
    [Document, "createElementNS", 1],
    [DOMImplementation, "createDocument", 1],
  ]) {
    const make = maker.prototype[name];
    define(maker.prototype, name, {
      configurable: false,
      writable: false,
      value: function (...given) {
        const said = apply(toLowerCase, `${given[at]}`, []);
        const tag = apply(split, said, [":"]).pop();
        given[at] = apply(has, frames, [tag]) ? "dask-frame" : `${given[at]}`;
        return apply(make, this, given);
      },
    });
  }
  if (window.trustedTypes) {
    // An entity of XML can hold an element that is written nowhere.
    const begun = /<(?=(?:[^<>\s/]*:)?(?:i?frame|fencedframe|object|embed|portal)[\s/>]|!ENTITY)/gi;
    window.trustedTypes.createPolicy("default", {
      createHTML: (text) => apply(replace, text, [begun, "<dask-"]),
      createScript: (text) => text,
      createScriptURL: (url) => url,
    });
    define(window, "trustedTypes", { configurable: false, value: undefined });
  }

  // A tag that is written in two pieces is looked at as one.
  const { write, close } = Document.prototype;
  const { join } = Array.prototype;
  const { exec } = RegExp.prototype;
  const unfinished = /<[^\s<>]{0,40}$/;
  let held = "";
  for (const [name, end] of [["write", ""], ["writeln", "\n"]]) {
    define(Document.prototype, name, {
      configurable: false,
      writable: false,
      value: function (...given) {
        const text = held + apply(join, given, [""]) + end;
        held = (apply(exec, unfinished, [text]) || [""])[0];
        apply(write, this, [apply(slice, text, [0, text.length - held.length])]);
      },
    });
  }
  define(Document.prototype, "close", {
    configurable: false,
    writable: false,
    value: function () {
      held = "";
      apply(close, this, []);
    },
  });
  // Pages come without frames; drawings come as they are.
  const typeOf = getter(Document, "contentType");
  const { isPrototypeOf } = Object.prototype;
  const { prototype: anyDocument } = Document;
  for (const name of ["response", "responseXML"]) {
    const given = getter(XMLHttpRequest, name);
    define(XMLHttpRequest.prototype, name, {
      configurable: false,
      get: function () {
        const value = apply(given, this, []);
        const other = apply(isPrototypeOf, anyDocument, [value]) && apply(typeOf, value, []) !== "text/html";
        return other ? null : value;
      },
    });
  }

  /* What some browsers do not let a policy say */
  for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection", "WebTransport", "XSLTProcessor"]) {
    define(window, name, { configurable: false, writable: false, value: undefined });
  }

  /* The bar */
  let bar = null;
  function keep() {
    bar = bar || document.querySelector("dask-bar");
    const root = document.documentElement;
    if (!bar || !root || (bar.parentNode === root && bar.isConnected)) return;
    root.append(bar);
    bar.setAttribute("popover", "manual");
    bar.showPopover();
    // As much as the bar covers, so that the end of the page can be read.
    root.style.setProperty("padding-block-end", `${bar.offsetHeight + 16}px`, "important");
  }
  const watch = new MutationObserver(function () {
    if (document.body) keep();
    if (document.documentElement) watch.observe(document.documentElement, { childList: true });
  });
  watch.observe(document, { childList: true });
  watch.observe(document.documentElement, { childList: true });
  document.addEventListener("DOMContentLoaded", keep);
})();
