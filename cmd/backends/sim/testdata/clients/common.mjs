// What the three scripts share: observations are collected by name and printed as one JSON object.
export const { ORIGIN, CONTROL, TOKEN } = process.env;

const seen = {};

// observe runs a step and keeps what it returns, or what report makes of the error it throws.
export async function observe(name, step, report) {
  try {
    seen[name] = await step();
  } catch (error) {
    seen[name] = report ? { thrown: report(error) } : { unexpected: String(error) };
  }
}

// fault sets the faults of a server through the control endpoint.
export async function fault(server, ...faults) {
  const answer = await fetch(`${CONTROL}/${server}/faults`, { method: "PUT", body: JSON.stringify(faults) });
  if (answer.status !== 204) {
    throw new Error(`control answers ${answer.status}: ${await answer.text()}`);
  }
}

export function finish() {
  console.log(JSON.stringify(seen));
}
