// What a page of somebody else tries. Each attack answers what it got hold of, or null.
const readable = async (promise) => {
  try {
    const answer = await promise;
    return answer.type === "opaque" ? null : { status: answer.status, text: await answer.text() };
  } catch {
    return null;
  }
};

const headers = { "Content-Type": "application/json", "X-Auth-Delivery": "cookie" };
const post = (url, init) => fetch(url, { method: "POST", credentials: "include", body: "{}", ...init });

/** Load something as an element does: did it load, and what can be seen of it? */
const element = (name, attributes) =>
  new Promise((resolve) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.onload = () => resolve("loaded");
    made.onerror = () => resolve(null);
    setTimeout(resolve, 1500, null);
    document.body.append(made);
  });

/** Send a form as a page can, into a frame so that this page stays. */
const form = (url, enctype, fields) => {
  const frame = Object.assign(document.createElement("iframe"), { name: `frame${Math.random()}` });
  document.body.append(frame);
  const made = Object.assign(document.createElement("form"), {
    action: url, method: "post", enctype, target: frame.name,
  });
  for (const [name, value] of Object.entries(fields)) {
    made.append(Object.assign(document.createElement("input"), { name, value }));
  }
  document.body.append(made);
  return new Promise((resolve) => {
    frame.onload = () => {
      try {
        const text = frame.contentDocument?.body?.textContent;
        if (frame.contentWindow.location.href !== "about:blank") resolve(text || null);
      } catch {
        resolve(null);
      }
    };
    setTimeout(resolve, 1500, null);
    made.submit();
  });
};

/** A frame that shows the victim: can it be looked into? */
const framed = async (url) => {
  const made = Object.assign(document.createElement("iframe"), { src: url });
  document.body.append(made);
  await new Promise((resolve) => { made.onload = resolve; setTimeout(resolve, 1500); });
  try {
    return made.contentDocument?.body?.textContent || null;
  } catch {
    return null;
  }
};

globalThis.attacks = (api) => ({
  "refresh as our client does it": () => readable(post(`${api}/auth/refresh`, { headers })),
  "logout as our client does it": () => readable(post(`${api}/auth/logout`, { headers })),
  "login as our client does it": () =>
    readable(post(`${api}/auth/login`, { headers, body: '{"username":"mallory","password":"plain horse battery staple"}' })),
  "refresh without a preflight": () =>
    readable(post(`${api}/auth/refresh`, { headers: { "Content-Type": "text/plain" } })),
  "refresh blind": () => readable(post(`${api}/auth/refresh`, { mode: "no-cors" })),
  "logout blind": () => readable(post(`${api}/auth/logout`, { mode: "no-cors" })),
  "refresh without a body": () => readable(post(`${api}/auth/refresh`, { body: undefined })),
  "refresh by keepalive": () => readable(post(`${api}/auth/refresh`, { headers, keepalive: true })),
  "beacon to logout": async () => (navigator.sendBeacon(`${api}/auth/logout`, "{}"), null),
  "form to refresh": () => form(`${api}/auth/refresh`, "text/plain", { '{"a":"': '"}' }),
  "form to logout": () => form(`${api}/auth/logout`, "application/x-www-form-urlencoded", { a: "b" }),
  "form to the OAuth door": () =>
    form(`${api}/oauth/token`, "application/x-www-form-urlencoded", { grant_type: "refresh_token" }),
  "read the sessions": () => readable(fetch(`${api}/auth/sessions`, { credentials: "include" })),
  "end the sessions": () =>
    readable(fetch(`${api}/auth/sessions`, { method: "DELETE", credentials: "include" })),
  "read the account": () => readable(fetch(`${api}/me`, { credentials: "include" })),
  "write an item": () => readable(post(`${api}/items`, { headers, body: '{"name":"bait","price":"1.00","currency":"EUR"}' })),
  "image of the sessions": () => element("img", { src: `${api}/auth/sessions` }),
  "script of the sessions": () => element("script", { src: `${api}/auth/sessions` }),
  "image that signs out": () => element("img", { src: `${api}/auth/logout` }),
  "style of the sessions": () => element("link", { rel: "stylesheet", href: `${api}/auth/sessions` }),
  "frame of the console": () => framed(`${api}/console`),
  "frame of the sessions": () => framed(`${api}/auth/sessions`),
});

globalThis.opened = (url) => {
  const other = window.open(url);
  return new Promise((resolve) =>
    setTimeout(() => {
      try {
        resolve(other?.document?.body?.textContent || null);
      } catch {
        resolve(null);
      }
    }, 1000));
};
