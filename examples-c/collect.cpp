// collect [SOCKET] [--apply] [KEY=VALUE]...: collects a node once; without --apply it only prints what it would remove.
#include <iostream>
#include <string>
#include "crigc.hpp"

int main(int argc, char **argv)
{
    try {
        crigc::config config; // the kubelet's defaults
        crigc::flags flags = crigc::flags::dry_run;
        for (int i = 1; i < argc; i++) {
            std::string argument = argv[i];
            std::string::size_type end = argument.find('=');
            if (argument == "--apply")
                flags = crigc::flags::none;
            else if (end == std::string::npos)
                config.set("container-runtime-endpoint", argument);
            else
                config.set(argument.substr(0, end), argument.substr(end + 1));
        }
        crigc::engine engine(config);
        for (crigc::entry entry : engine.containers(flags))
            std::cout << crigc::name(entry.outcome()) << ' ' << entry.id() << " (" << entry.name() << "): " << entry.reason() << '\n';
    } catch (const crigc::error &error) {
        std::cerr << crigc::name(error.status()) << ": " << error.what() << '\n';
        return 1;
    }
    return 0;
}
