// What clang makes of plain C: a guest without a C library.
typedef unsigned char byte;
typedef unsigned long long u64;

static byte buffer[65536];
static int (*operations[])(int, int);

static int add(int a, int b) { return a + b; }
static int mul(int a, int b) { return a * b; }
static int (*operations[])(int, int) = {add, mul};

__attribute__((visibility("default"))) int apply(int which, int a, int b) { return operations[which & 1](a, b); }

__attribute__((visibility("default"))) u64 hash(int n) {
  u64 h = 14695981039346656037ull;
  __builtin_memset(buffer, n, sizeof buffer / 2);
  __builtin_memcpy(buffer + 32768, buffer, n & 0x7fff);
  for (int round = 0; round < n; round++)
    for (unsigned i = 0; i < sizeof buffer; i++) h = (h ^ buffer[i]) * 1099511628211ull;
  return h;
}

__attribute__((visibility("default"))) int kind(int c) {
  switch (c) {
  case 'a': return 1;
  case 'b': return 22;
  case 'c': return apply(1, c, 3);
  case 'd': return 7;
  case 'e': case 'f': return kind(c - 1);
  default: return 0;
  }
}

__attribute__((visibility("default"))) float dot(const float *a, const float *b, int n) {
  float s = 0;
  for (int i = 0; i < n; i++) s += a[i] * b[i];
  return s;
}
