import { Client } from "@hubspot/api-client";
import { ORIGIN, TOKEN, observe, fault, finish } from "./common.mjs";

const { CONTACT } = process.env;
const connect = (accessToken) => new Client({ accessToken, basePath: ORIGIN, numberOfApiCallRetries: 3 });
const contacts = connect(TOKEN).crm.contacts;
const report = (error) => [error.code, error.body?.category];
const equal = (propertyName, value) => [{ filters: [{ propertyName, operator: "EQ", value }] }];

await observe("get", async () => {
  const c = await contacts.basicApi.getById(CONTACT, ["city", "email", "hs_email_bounce"]);
  return { id: c.id, ...c.properties, created: c.createdAt instanceof Date, updated: c.updatedAt.toISOString(), archived: c.archived };
});
await observe("get by customer number", async () =>
  (await contacts.basicApi.getById("C-100042", ["phone"], undefined, undefined, false, "customer_number")).properties.phone);
await observe("search", async () => {
  const r = await contacts.searchApi.doSearch({ filterGroups: equal("customer_number", "C-100042"), properties: ["customer_number", "firstname"], limit: 5 });
  return { total: r.total, ids: r.results.map((c) => c.id), name: r.results[0].properties.firstname };
});
await observe("pages of a search", async () => {
  const ids = new Set();
  let after = "0", total = 0, pages = 0;
  do {
    const r = await contacts.searchApi.doSearch({ filterGroups: [{ filters: [{ propertyName: "email", operator: "HAS_PROPERTY" }] }], sorts: ["-createdate"], properties: ["email"], limit: 200, after });
    r.results.forEach((c) => ids.add(c.id));
    total = r.total;
    after = r.paging?.next?.after;
    pages++;
  } while (after);
  return { whole: ids.size === total, pages: pages > 10 };
});
await observe("all", async () => {
  const all = await contacts.getAll(100, undefined, ["customer_number"]);
  return { distinct: new Set(all.map((c) => c.id)).size === all.length, many: all.length > 2000 };
});
await observe("not found", () => contacts.basicApi.getById("1"), report);
await observe("archived", () => contacts.basicApi.getById("C-100048", undefined, undefined, undefined, false, "customer_number"), report);
await observe("archived on demand", async () => (await contacts.basicApi.getById("C-100048", undefined, undefined, undefined, true, "customer_number")).archived);
await observe("unknown property", () => contacts.searchApi.doSearch({ filterGroups: equal("shoe", "42") }), report);
await observe("wrong token", () => connect("wrong").crm.contacts.basicApi.getById(CONTACT), report);

await fault("hubspot", { kind: "rate-limit", retryAfter: 1, count: 1 });
await observe("after a limit", async () => (await contacts.basicApi.getById(CONTACT)).id);
finish();
