;; The part of Extism's kernel that guests call for every byte or word, so that this is a
;; call from Wasm to Wasm. It knows one block for loads, one for stores, and the input: the
;; windows, which the host writes to the first page (see arena.go). Whatever lies outside
;; of its window the host decides, which may move the window.
;;
;; A window is 32 bytes: the offset that it begins at, how many offsets from there hold a
;; byte, how many hold a word, and where its bytes are in this memory. All are i64.
(module $pointsman:kernel
  (import "pointsman:extism" "load_u8" (func $load_u8 (param i64) (result i32)))
  (import "pointsman:extism" "load_u64" (func $load_u64 (param i64) (result i64)))
  (import "pointsman:extism" "store_u8" (func $store_u8 (param i64 i32)))
  (import "pointsman:extism" "store_u64" (func $store_u64 (param i64 i64)))
  (import "pointsman:extism" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "pointsman:extism" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (memory 64 64)

  (func (export "load_u8") (param $offset i64) (result i32) (local $d i64)
    (local.set $d (i64.sub (local.get $offset) (i64.load (i32.const 0))))
    (if (i64.lt_u (local.get $d) (i64.load (i32.const 8)))
      (then (return (i32.load8_u (i32.wrap_i64 (i64.add (local.get $d) (i64.load (i32.const 24))))))))
    (call $load_u8 (local.get $offset)))

  (func (export "load_u64") (param $offset i64) (result i64) (local $d i64)
    (local.set $d (i64.sub (local.get $offset) (i64.load (i32.const 0))))
    (if (i64.lt_u (local.get $d) (i64.load (i32.const 16)))
      (then (return (i64.load align=1 (i32.wrap_i64 (i64.add (local.get $d) (i64.load (i32.const 24))))))))
    (call $load_u64 (local.get $offset)))

  (func (export "store_u8") (param $offset i64) (param $v i32) (local $d i64)
    (local.set $d (i64.sub (local.get $offset) (i64.load (i32.const 32))))
    (if (i64.lt_u (local.get $d) (i64.load (i32.const 40)))
      (then
        (i32.store8 (i32.wrap_i64 (i64.add (local.get $d) (i64.load (i32.const 56)))) (local.get $v))
        (return)))
    (call $store_u8 (local.get $offset) (local.get $v)))

  (func (export "store_u64") (param $offset i64) (param $v i64) (local $d i64)
    (local.set $d (i64.sub (local.get $offset) (i64.load (i32.const 32))))
    (if (i64.lt_u (local.get $d) (i64.load (i32.const 48)))
      (then
        (i64.store align=1 (i32.wrap_i64 (i64.add (local.get $d) (i64.load (i32.const 56)))) (local.get $v))
        (return)))
    (call $store_u64 (local.get $offset) (local.get $v)))

  (func (export "input_load_u8") (param $offset i64) (result i32)
    (if (i64.lt_u (local.get $offset) (i64.load (i32.const 72)))
      (then (return (i32.load8_u (i32.wrap_i64 (i64.add (local.get $offset) (i64.load (i32.const 88))))))))
    (call $input_load_u8 (local.get $offset)))

  (func (export "input_load_u64") (param $offset i64) (result i64)
    (if (i64.lt_u (local.get $offset) (i64.load (i32.const 80)))
      (then (return (i64.load align=1 (i32.wrap_i64 (i64.add (local.get $offset) (i64.load (i32.const 88))))))))
    (call $input_load_u64 (local.get $offset))))
