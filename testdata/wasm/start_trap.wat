;; Has a start function that breaks off.
(module $start_trap
  (start $begin)
  (func $begin unreachable)
  (func (export "run")))
