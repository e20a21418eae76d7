// A program of which one part is built with -fno-exceptions and one with exceptions: each has its own functions of crigc.hpp. Argument: the
// socket of a crisim.
#include "check.h"
#include "crigc.hpp"

#ifdef CRIGC_EXCEPTIONS

std::size_t refused_without_exceptions(const char *endpoint);

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    crigc::config config;
    config.set("container-runtime-endpoint", argv[1]).set("pod-logs-dir", "").set("container-logs-dir", "");
    config.on_approve([](crigc::entry) -> bool { throw 42; });
    crigc::engine engine(config);
    bool caught = false;
    try {
        engine.containers();
    } catch (int number) {
        caught = number == 42;
    }
    CHECK(caught);
    CHECK(refused_without_exceptions(argv[1]) > 0);
    return 0;
}

#else

std::size_t refused_without_exceptions(const char *endpoint)
{
    crigc::error error;
    crigc::config config;
    CHECK(config.set("container-runtime-endpoint", endpoint, error) && config.set("pod-logs-dir", "", error));
    CHECK(config.set("container-logs-dir", "", error));
    config.on_approve([](crigc::entry) { return false; });
    crigc::engine engine(config, error);
    crigc::report report = engine.containers(error);
    CHECK(!error);
    return report.count(crigc::kind::any, crigc::outcome::refused);
}

#endif
