// What the console imports as "../client.js", where the service serves it: this package's client.
export * from "../itemsapi-auth.js";
