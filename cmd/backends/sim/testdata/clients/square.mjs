import { SquareClient } from "square";
import { ORIGIN, TOKEN, observe, fault, finish } from "./common.mjs";

const { ACCOUNT } = process.env;
const connect = (token) => new SquareClient({ token, environment: ORIGIN });
const accounts = connect(TOKEN).loyalty.accounts;
const report = (error) => [error.statusCode, error.errors?.[0]?.category, error.errors?.[0]?.code];

const summary = (a) => ({ id: a.id, balance: a.balance, lifetime: a.lifetimePoints, phone: a.mapping.phoneNumber, expiring: a.expiringPointDeadlines.map((d) => d.points) });
await observe("search", async () => {
  const r = await accounts.search({ query: { mappings: [{ phoneNumber: "+13125550142" }] }, limit: 10 });
  return r.loyaltyAccounts.map(summary);
});
await observe("get", async () => summary((await accounts.get({ accountId: ACCOUNT })).loyaltyAccount));
await observe("nothing found", async () => (await accounts.search({ query: { mappings: [{ phoneNumber: "+13125550149" }] } })).loyaltyAccounts ?? "none");
await observe("pages", async () => {
  const ids = new Set();
  let cursor, count = 0, pages = 0;
  do {
    const r = await accounts.search({ limit: 200, cursor });
    r.loyaltyAccounts.forEach((a) => ids.add(a.id));
    count += r.loyaltyAccounts.length;
    cursor = r.cursor;
    pages++;
  } while (cursor);
  return { distinct: ids.size === count, count, many: pages > 5 };
});
await observe("not found", () => accounts.get({ accountId: "x" }), report);
await observe("bad phone", () => accounts.search({ query: { mappings: [{ phoneNumber: "312 555" }] } }), report);
await observe("bad version", () => accounts.get({ accountId: ACCOUNT }, { version: "latest" }), report);
await observe("wrong token", () => connect("wrong").loyalty.accounts.get({ accountId: ACCOUNT }), report);

await fault("square", { kind: "rate-limit", retryAfter: 1, count: 1 });
await observe("after a limit", async () => (await accounts.get({ accountId: ACCOUNT })).loyaltyAccount.balance);
finish();
