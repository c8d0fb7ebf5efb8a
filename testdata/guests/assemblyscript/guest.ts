// The plugin of testdata/guests in AssemblyScript, with Extism's published PDK, and its
// interface alone where that offers nothing.
import { Config, Host, LogLevel, Memory, Var } from "@extism/as-pdk/lib/pdk";
import { error_set, http_request, length } from "@extism/as-pdk/lib/env";

@external("extism:host/env", "http_status_code")
declare function http_status_code(): i32;
@external("extism:host/env", "http_headers")
declare function http_headers(): u64;

export function abort_(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}

export function echo(): i32 {
  Host.output(Host.input());
  return 0;
}

let calls = 0;

export function count(): i32 {
  calls++;
  const old = Var.getString("n");
  const now = (old === null ? 0 : I32.parseInt(old)) + calls;
  Var.set("n", Uint8Array.wrap(String.UTF8.encode(now.toString())));
  Host.outputString(Var.getString("n")!);
  return 0;
}

export function config(): i32 {
  const value = Config.get("greeting");
  Host.outputString(value === null ? "null" : value);
  return 0;
}

export function log(): i32 {
  Host.log(LogLevel.Info, Host.inputString());
  Host.outputString("true");
  return 0;
}

export function fail(): i32 {
  error_set(Memory.allocateBytes(Host.input()).offset);
  return 1;
}

export function trap(): void {
  unreachable();
}

function text(block: u64): string {
  return block == 0 ? "" : new Memory(block, length(block)).toString();
}

export function fetch(): i32 {
  const body = text(http_request(Memory.allocateBytes(Host.input()).offset, 0));
  const status = http_status_code().toString();
  Host.outputString('{"status":' + status + ',"headers":' + text(http_headers()) + ',"body":' + body + "}");
  return 0;
}
