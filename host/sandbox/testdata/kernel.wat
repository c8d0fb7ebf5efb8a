;; As much of Extism's kernel as testdata/cguest/json.c needs, for measuring what rewriting a
;; guest costs without what a host function costs: the input lies at 0, blocks from 64 KiB on.
(module $kernel
  (memory (export "memory") 4 4)
  (global $input (mut i64) (i64.const 0))
  (global $next (mut i64) (i64.const 65536))
  (func (export "begin") (param $n i64)
    (global.set $input (local.get $n))
    (global.set $next (i64.const 65536)))
  (func (export "input_length") (result i64) (global.get $input))
  (func (export "input_load_u8") (param $at i64) (result i32) (i32.load8_u (i32.wrap_i64 (local.get $at))))
  (func (export "input_load_u64") (param $at i64) (result i64) (i64.load (i32.wrap_i64 (local.get $at))))
  (func (export "alloc") (param $n i64) (result i64)
    (global.get $next)
    (global.set $next (i64.add (global.get $next) (local.get $n))))
  (func (export "store_u8") (param $at i64) (param $v i32) (i32.store8 (i32.wrap_i64 (local.get $at)) (local.get $v)))
  (func (export "store_u64") (param $at i64) (param $v i64) (i64.store (i32.wrap_i64 (local.get $at)) (local.get $v)))
  (func (export "output_set") (param i64 i64)))
