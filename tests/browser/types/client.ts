// The whole API with types, on our client: compiled under `strict`, then run in the browser.
import createClient from "openapi-fetch";
import { AuthError, createAuth, type Code, type Snapshot } from "itemsapi-auth";
import type { components, paths } from "./api.js";

type Item = components["schemas"]["Item"];

const auth = createAuth();
const api = createClient<paths>({ baseUrl: location.origin, fetch: auth.fetch });

export const login = (username: string, password: string): Promise<Snapshot> =>
  auth.login({ username, password });

export const add = async (name: string): Promise<Item> => {
  const { data, error } = await api.POST("/items", {
    body: { name, price: "49.00", currency: "EUR" },
  });
  if (error) throw new Error(`${error.code}: ${error.detail}`);
  return data;
};

export const rename = async ({ id }: Item, name: string): Promise<Item> => {
  const { response } = await api.GET("/items/{item_id}", { params: { path: { item_id: id } } });
  const { data, error } = await api.PATCH("/items/{item_id}", {
    params: { path: { item_id: id }, header: { "If-Match": response.headers.get("ETag") ?? "" } },
    body: { name },
  });
  if (error) throw new Error(error.code);
  return data;
};

export const names = async (): Promise<string[]> => {
  const { data } = await api.GET("/items", { params: { query: { limit: 20, sort: "name" } } });
  return (data?.items ?? []).map((item) => item.name);
};

// What the types must refuse.
export const wrong = async (): Promise<void> => {
  // @ts-expect-error a price is a decimal string, never a float
  await api.POST("/items", { body: { name: "Chair", price: 49, currency: "EUR" } });
  // @ts-expect-error there is no such currency
  await api.POST("/items", { body: { name: "Chair", price: "49.00", currency: "XYZ" } });
  // @ts-expect-error a name is needed
  await api.POST("/items", { body: { price: "49.00", currency: "EUR" } });
  // @ts-expect-error nobody chooses the owner
  await api.POST("/items", { body: { name: "A", price: "1", currency: "EUR", owner_id: "1" } });
  // @ts-expect-error a change says which version it was made against
  await api.PATCH("/items/{item_id}", { params: { path: { item_id: "1" } }, body: { name: "A" } });
  // @ts-expect-error there is no such address
  await api.GET("/itmes");
  // @ts-expect-error a password is needed
  await auth.login({ username: "ada" });
  const error = new AuthError(401);
  const code: Code = error.code;
  // @ts-expect-error there is no such code
  if (error.code === "invalid_credental") return;
  // @ts-expect-error nor such a reason
  if (auth.getSnapshot().reason === "refresh_re-used") return;
  console.log(code, auth.getSnapshot().sessionId?.length);
};

Object.assign(globalThis, { typed: { login, add, rename, names } });
