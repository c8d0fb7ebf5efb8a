;; Its initializer does not end.
(module $init_spin
  (memory (export "memory") 1)
  (func $ctors (export "__wasm_call_ctors") (loop $again (br $again)))
  (func (export "f") (result i32) (i32.const 0)))
