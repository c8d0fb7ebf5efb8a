;; Wants what nobody offers, names of the host's own, and something with another signature.
(module $refused_unknown
  (import "env" "system" (func (param i32) (result i32)))
  (import "pointsman:extism" "alloc" (func (param i64) (result i64)))
  (import "pointsman:http" "request" (func (param i64 i64) (result i64)))
  (import "extism:host/env" "free" (func (param i32)))
  (import "main_1" "f" (func))
  (func (export "f")))
