;; Overwrites the size that go-sdk's kernel keeps before each block, so that the block is
;; followed by itself: a kernel that then walks its blocks never ends, in code that
;; nobody can interrupt.
(module $kernel_circle
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (func (export "walk") (result i32) (local $at i64)
    (drop (call $alloc (i64.const 64)))
    (local.set $at (call $alloc (i64.const 80)))
    (drop (call $alloc (i64.const 80)))
    (call $store_u8 (i64.sub (local.get $at) (i64.const 8)) (i32.const 0xf4))
    (call $store_u8 (i64.sub (local.get $at) (i64.const 7)) (i32.const 0xff))
    (call $store_u8 (i64.sub (local.get $at) (i64.const 6)) (i32.const 0xff))
    (call $store_u8 (i64.sub (local.get $at) (i64.const 5)) (i32.const 0xff))
    (drop (call $length (i64.add (local.get $at) (i64.const 4096))))
    (i32.const 0)))
