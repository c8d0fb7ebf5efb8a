import jsforce from "jsforce";
import { ORIGIN, TOKEN, observe, fault, finish } from "./common.mjs";

const { CLIENT_ID, CLIENT_SECRET, CONTACT } = process.env;
const version = "62.0";
const code = (error) => error.errorCode ?? error.name;
const connect = (accessToken) => new jsforce.Connection({ instanceUrl: ORIGIN, accessToken, version });
const conn = connect(TOKEN);

await observe("retrieve", async () => {
  const c = await conn.sobject("Contact").retrieve(CONTACT);
  return { id: c.Id, name: c.Name, city: c.MailingAddress.city, type: c.attributes.type, value: typeof c.Lifetime_Value__c };
});
await observe("retrieve fields", async () => {
  const { attributes, ...rest } = await conn.sobject("Contact").retrieve(CONTACT, { fields: ["Email", "Phone_E164__c"] });
  return rest;
});
await observe("external id", async () => (await conn.request(`/services/data/v${version}/sobjects/Contact/Customer_Number__c/C-100042`)).Id);
await observe("query", async () => {
  const r = await conn.query("SELECT Id, Name FROM Contact WHERE Customer_Number__c = 'C-100042'");
  return { total: r.totalSize, done: r.done, names: r.records.map((c) => c.Name) };
});
await observe("find with a quote", async () =>
  (await conn.sobject("Contact").find({ LastName: "O'Brien" }, ["LastName"]).limit(5)).map((c) => c.LastName));
await observe("find by pattern", async () =>
  (await conn.sobject("Contact").find({ Email: { $like: "amelia.h_rt@%" } }, ["Customer_Number__c"]).sort("-CreatedDate")).map((c) => c.Customer_Number__c));
await observe("pages", async () => {
  let r = await conn.query("SELECT Id FROM Contact", { headers: { "Sforce-Query-Options": "batchSize=500" } });
  const ids = new Set(), sizes = [];
  for (;;) {
    sizes.push(r.records.length);
    r.records.forEach((c) => ids.add(c.Id));
    if (r.done) break;
    r = await conn.queryMore(r.nextRecordsUrl);
  }
  return { total: r.totalSize, distinct: ids.size, first: sizes[0], pages: sizes.length };
});
await observe("fetched by itself", async () =>
  (await conn.query("SELECT Id FROM Contact", { autoFetch: true, maxFetch: 100000 })).records.length);

await observe("unknown field", () => conn.query("SELECT Shoe__c FROM Contact"), code);
await observe("malformed", () => conn.query("SELECT Id FROM Contact WHERE"), code);
await observe("not found", () => conn.sobject("Contact").retrieve("003000000000000AAA"), code);
await observe("two choices", () => conn.request(`/services/data/v${version}/sobjects/Contact/Customer_Number__c/C-100047`), (e) => [code(e), e.data.length]);
await observe("wrong token", () => connect("wrong").query("SELECT Id FROM Contact"), code);

await observe("client credentials", async () => {
  const c = new jsforce.Connection({ oauth2: { loginUrl: ORIGIN, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET }, version });
  const user = await c.authorize({ grant_type: "client_credentials" });
  return { origin: c.instanceUrl === ORIGIN, organization: user.organizationId.slice(0, 3), total: (await c.query("SELECT Id FROM Contact WHERE Customer_Number__c = 'C-100042'")).totalSize };
});
await observe("wrong client", () => {
  const c = new jsforce.Connection({ oauth2: { loginUrl: ORIGIN, clientId: CLIENT_ID, clientSecret: "wrong" }, version });
  return c.authorize({ grant_type: "client_credentials" });
}, (e) => e.name);

await fault("salesforce", { kind: "rate-limit", retryAfter: 1, count: 1 });
await observe("after a limit", async () => (await conn.query("SELECT Id FROM Contact WHERE Customer_Number__c = 'C-100043'")).totalSize);
finish();
