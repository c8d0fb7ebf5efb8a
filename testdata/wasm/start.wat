;; Has a start function, which runs before _initialize: that one doubles what it has left.
(module $start
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (memory (export "memory") 1)
  (global $n (mut i32) (i32.const 48))
  (start $begin)
  (func $begin (global.set $n (i32.add (global.get $n) (i32.const 1))) (i32.store8 (i32.const 7) (i32.const 1)))
  (func (export "_initialize")
    (global.set $n (i32.add (global.get $n) (i32.mul (i32.load8_u (i32.const 7)) (i32.const 4)))))
  ;; "5" when start ran once, and before _initialize
  (func (export "run") (local $block i64)
    (local.set $block (call $alloc (i64.const 1)))
    (call $store (local.get $block) (global.get $n))
    (global.set $n (i32.const 63))
    (i32.store8 (i32.const 7) (i32.const 9))
    (call $output (local.get $block) (i64.const 1))))
