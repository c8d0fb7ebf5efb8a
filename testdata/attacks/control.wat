;; The plugin that must not notice an attack on another one.
(module $control
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "pointsman:rt" "output_write" (func $output_write (param i64 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{\"fine\":true}")
  (func $fine (export "fine") (call $output_write (i64.const 0) (i64.const 13)))
  ;; 640 MiB of garbage, for the host to collect
  (func (export "sweep") (local $i i32)
    (loop $next
      (call $free (call $alloc (i64.const 16777216)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40))))
    (call $fine)))
