;; Its initializer traps.
(module $init_trap
  (func $ctors (export "_initialize") unreachable)
  (func (export "f") (result i32) (i32.const 0)))
