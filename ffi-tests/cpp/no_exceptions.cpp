// crigc.hpp in a program without exceptions. Argument: the socket of a crisim.
#include "check.h"
#include "crigc.hpp"

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    crigc::error error;
    crigc::config config;
    CHECK(!config.set("no-such-key", "1", error) && error.status() == crigc::status::invalid_argument);
    CHECK(config.set("container-runtime-endpoint", argv[1], error) && config.set("pod-logs-dir", "", error));
    CHECK(config.set("container-logs-dir", "", error));
    std::size_t asked = 0;
    config.on_approve([&](crigc::entry) { return asked++ > 0; });
    crigc::engine engine(config, error);
    CHECK(engine && !error);
    crigc::report report = engine.containers(error);
    CHECK(!error && report.count(crigc::kind::any, crigc::outcome::refused) == 1 && asked > 1);
    engine.close();
    CHECK(!engine.images(error) && error.status() == crigc::status::closed && error.what()[0] != '\0');
    CHECK(!engine.start(error) && error.status() == crigc::status::closed);
    return 0;
}
