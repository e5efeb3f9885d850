// Starts Swagger UI on our document, and signs in for it. Tokens stay in memory.
const root = new URL("../..", document.currentScript.src); // where the service is: two levels up
const documentUrl = new URL("openapi.json", root).href;
const place = document.getElementById("explorer");

const dark = matchMedia("(prefers-color-scheme: dark)");
const followScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followScheme);
followScheme();

// Swagger UI names its selection lists for the eye only.
new MutationObserver(() => {
  for (const select of place.querySelectorAll("select:not([aria-label])")) {
    const name = select.closest("tr")?.dataset.paramName;
    select.setAttribute("aria-label", name ?? (select.id === "servers" ? "Server" : "Content type"));
  }
}).observe(place, { childList: true, subtree: true });

const explorer = SwaggerUIBundle({
  url: documentUrl,
  dom_id: "#explorer",
  validatorUrl: null, // or it would send the document to a foreign host
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  persistAuthorization: false,
  requestInterceptor: (request) => ({ ...request, credentials: "omit" }),
  responseInterceptor: (response) =>
    response.url === documentUrl ? { ...response, text: withTitles(response.text) } : response,
});

/**
 * Return the document with the titles of the tags as their names, and without code samples:
 * Swagger UI shows names of tags, and no samples.
 */
function withTitles(text) {
  const content = JSON.parse(text);
  const titles = Object.fromEntries(content.tags.map((tag) => [tag.name, tag["x-displayName"] ?? tag.name]));
  content.tags = content.tags.map((tag) => ({ ...tag, name: titles[tag.name] }));
  for (const operation of Object.values(content.paths).flatMap(Object.values)) {
    operation.tags = operation.tags.map((tag) => titles[tag] ?? tag);
    delete operation["x-codeSamples"];
  }
  return JSON.stringify(content);
}

const form = document.getElementById("sign-in");
const outcome = document.getElementById("outcome");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const wish = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
  outcome.textContent = "";
  const body = await ask({ ...wish, device: "API explorer" });
  if (!body.access_token) {
    outcome.textContent = body.title ?? "The service did not respond.";
    return;
  }
  explorer.preauthorizeApiKey("bearer", body.access_token);
  form.elements.password.value = "";
  outcome.textContent = `Signed in for ${Math.round(body.expires_in / 60)} minutes: ${body.scope}`;
});

async function ask(wish) {
  const headers = { "Content-Type": "application/json" };
  try {
    const response = await fetch(new URL("auth/login", root), { method: "POST", headers, body: JSON.stringify(wish) });
    return await response.json();
  } catch {
    return {};
  }
}
