;; Cannot be instantiated: its data does not fit its memory.
(module $bad_data
  (memory (export "memory") 1)
  (data (i32.const 65535) "xy")
  (func (export "f") (result i32) (i32.const 0)))
