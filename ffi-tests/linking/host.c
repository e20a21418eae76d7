/* A program that calls a shared library of its own, which has crigc inside. Argument: the runtime's socket. */
int collect(const char *endpoint);

int main(int argc, char **argv) { return argc == 2 ? collect(argv[1]) : 2; }
