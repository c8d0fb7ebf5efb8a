;; Has no memory of its own, but uses functions that want to write there.
(module $no_memory
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (func (export "random") (result i32) (call $random (i32.const 0) (i32.const 16)))
  (func (export "empty") (result i32) (call $output_set (i64.const 0) (i64.const 0)) (i32.const 0)))
