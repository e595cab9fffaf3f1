/* Shows how far an upload has come, for forms with data-upload.

   Without this script the same form posts in the ordinary way. With it, the same bytes go to the
   same address, and the page stays until the server has answered:
   - a redirect means done: the browser goes where it points;
   - any other answer means refused: what the server says is shown above the button, and the form,
     with its text and chosen files, is left as it was;
   - no answer, or one that says nothing, after everything was sent: it may have arrived, and the
     page says that this is not known.
   Every sentence comes from data-text-… attributes that the template has translated. */
"use strict";

(function () {
  const SPOKEN_EVERY = 10; // per cent between two announcements to a screen reader

  for (const form of document.querySelectorAll("form[data-upload]")) {
    form.addEventListener("submit", function (event) {
      // Without a file there is nothing to wait for: the form posts in the ordinary way.
      if (!chosenBytes(form)) return;
      event.preventDefault();
      if (!form.hasAttribute("aria-busy")) send(form, event.submitter);
    });
  }

  function send(form, submitter) {
    const words = form.dataset;
    const panel = clearPanel(form);
    if (words.maxBytes && chosenBytes(form) > Number(words.maxBytes)) {
      showRefusal(panel, words.textFailed, [words.textTooLarge]);
      return;
    }

    const target = submitter?.getAttribute("formaction") || form.getAttribute("action") || "";
    const address = new URL(target, document.baseURI).href;
    const request = new XMLHttpRequest();
    const view = showProgress(panel, words, () => request.abort());
    const body = new FormData(form);
    let allSent = false;
    if (submitter?.name) body.append(submitter.name, submitter.value);

    const finish = function () {
      window.removeEventListener("beforeunload", warn);
      form.removeAttribute("aria-busy");
    };
    const refuse = function (title, messages) {
      finish();
      showRefusal(panel, title, messages);
    };

    request.upload.addEventListener("progress", function (event) {
      if (event.lengthComputable) view.sent(Math.floor((event.loaded / event.total) * 100));
    });
    request.upload.addEventListener("load", function () {
      allSent = true;
      view.saving();
    });
    request.addEventListener("abort", () => refuse(words.textCancelled, []));
    request.addEventListener("error", function () {
      if (allSent) refuse(words.textUnknown, [words.textUnknownWhy]);
      else refuse(words.textFailed, [words.textBroken]);
    });
    request.addEventListener("load", function () {
      const moved = request.responseURL && withoutFragment(request.responseURL) !== withoutFragment(address);
      if (request.status >= 200 && request.status < 300 && moved) {
        finish();
        window.location.assign(request.responseURL);
        return;
      }
      const said = readRefusal(request.responseText);
      if (said.messages.length) refuse(said.title || words.textFailed, said.messages);
      else refuse(words.textUnknown, [words.textUnknownWhy]);
    });

    window.addEventListener("beforeunload", warn);
    form.setAttribute("aria-busy", "true");
    request.open("POST", address);
    request.setRequestHeader("X-Requested-With", "upload");
    request.send(body);
  }

  function warn(event) {
    event.preventDefault();
  }

  function withoutFragment(address) {
    return address.split("#", 1)[0];
  }

  function chosenBytes(form) {
    let sum = 0;
    for (const input of form.querySelectorAll("input[type=file]")) {
      for (const file of input.files) sum += file.size;
    }
    return sum;
  }

  /* What the server's page says: its error heading and text, or its list of errors in fields. */
  function readRefusal(html) {
    const page = new DOMParser().parseFromString(html, "text/html");
    const text = (selector) => Array.from(page.querySelectorAll(selector), (node) => node.textContent.trim());
    const listed = text("#error-summary li");
    if (listed.length) return { title: text("#error-summary-title")[0], messages: listed };
    return { title: text("[data-error-title]")[0], messages: text("[data-error-text]") };
  }

  /* The place above the buttons where the upload speaks; the same one for every try. */
  function clearPanel(form) {
    let panel = form.querySelector("[data-upload-panel]");
    if (!panel) {
      panel = element("div", { className: "upload-panel" });
      panel.setAttribute("data-upload-panel", "");
      const buttons = form.querySelector(".actions") || form.querySelector("[type=submit]");
      buttons.before(panel);
    }
    panel.replaceChildren();
    return panel;
  }

  function showProgress(panel, words, cancel) {
    const bar = element("progress", { className: "progress__bar", max: 100, value: 0 });
    bar.setAttribute("aria-label", words.textLabel);
    const seen = element("p", { className: "upload-panel__text" });
    seen.setAttribute("aria-hidden", "true");
    const spoken = element("p", { className: "ds-sr-only" });
    spoken.setAttribute("role", "status");
    const stop = element("button", { type: "button", className: "ds-button", textContent: words.textCancel });
    stop.setAttribute("data-variant", "secondary");
    stop.addEventListener("click", cancel);
    panel.append(bar, seen, spoken, stop);

    let lastSpoken = -SPOKEN_EVERY;
    const view = {
      sent(percent) {
        const sentence = words.textSending.replace("{percent}", String(percent));
        bar.value = percent;
        seen.textContent = sentence;
        if (percent - lastSpoken >= SPOKEN_EVERY) {
          lastSpoken = percent;
          spoken.textContent = sentence;
        }
      },
      saving() {
        bar.removeAttribute("value");
        seen.textContent = words.textSaving;
        spoken.textContent = words.textSaving;
        stop.remove();
      },
    };
    view.sent(0);
    return view;
  }

  function showRefusal(panel, title, messages) {
    const box = element("div", { className: "ds-alert", tabIndex: -1 });
    box.setAttribute("data-color", "danger");
    box.setAttribute("role", "alert");
    box.append(element("p", { className: "upload-panel__title", textContent: title }));
    for (const message of messages) box.append(element("p", { textContent: message }));
    panel.replaceChildren(box);
    box.focus();
  }

  function element(name, properties) {
    return Object.assign(document.createElement(name), properties);
  }
})();
