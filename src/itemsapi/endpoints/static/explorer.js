// Starts Swagger UI on our document, and signs in for it. Tokens stay in memory.
const root = new URL("../..", document.currentScript.src); // where the service is: two levels up
const explorer = SwaggerUIBundle({
  url: new URL("openapi.json", root).href,
  dom_id: "#explorer",
  validatorUrl: null, // or it would send the document to a foreign host
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  persistAuthorization: false,
  requestInterceptor: (request) => ({ ...request, credentials: "omit" }),
});

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
