;; Needs 32 MiB to start.
(module $large_memory
  (memory (export "memory") 512)
  (func (export "f") (result i32) (i32.const 0)))
