// A plugin in C without a library: "upper" answers its input in capitals, "request" asks
// through our own door.
#include <stdint.h>

#define ENV(name) __attribute__((import_module("extism:host/env"), import_name(name)))

ENV("input_length") uint64_t input_length(void);
ENV("input_load_u8") uint32_t input_byte(uint64_t at);
ENV("alloc") uint64_t alloc(uint64_t n);
ENV("store_u8") void store(uint64_t at, uint32_t byte);
ENV("output_set") void output_set(uint64_t at, uint64_t n);

__attribute__((import_module("pointsman:http"), import_name("request")))
uint64_t http_request(uint64_t ptr, uint64_t n);
__attribute__((import_module("pointsman:rt"), import_name("reply_read")))
uint64_t reply_read(uint64_t ptr, uint64_t n);

__attribute__((export_name("upper"))) int32_t upper(void) {
  uint64_t n = input_length();
  uint64_t out = alloc(n);
  for (uint64_t i = 0; i < n; i++) {
    uint32_t c = input_byte(i);
    store(out + i, c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  output_set(out, n);
  return 0;
}

static char reply[256];

__attribute__((export_name("request"))) int32_t request(void) {
  static const char asked[] = "GET /c";
  uint64_t n = http_request((uint64_t)(uintptr_t)asked, sizeof asked - 1);
  if (n > sizeof reply) return 1;
  n = reply_read((uint64_t)(uintptr_t)reply, n);
  uint64_t out = alloc(n);
  for (uint64_t i = 0; i < n; i++) store(out + i, (uint8_t)reply[i]);
  output_set(out, n);
  return 0;
}
