// Collects a node once; without --apply it only prints what it would remove. docs/linking.md says how to link it.
#include <cstring>
#include <iostream>
#include "crigc.hpp"

int main(int argc, char **argv)
{
    bool apply = argc == 2 && std::strcmp(argv[1], "--apply") == 0;
    if (argc > 1 && !apply) {
        std::cerr << "usage: collect [--apply]; without it nothing is removed\n";
        return 2;
    }
    try {
        crigc::config config; // the kubelet's defaults
        crigc::engine engine(config);
        crigc::report report = engine.containers(apply ? crigc::flags::none : crigc::flags::dry_run);
        for (crigc::entry entry : report)
            std::cout << crigc::name(entry.outcome()) << ' ' << entry.id() << " (" << entry.name() << "): " << entry.reason() << '\n';
    } catch (const crigc::error &error) {
        std::cerr << crigc::name(error.status()) << ": " << error.what() << '\n';
        return 1;
    }
    return 0;
}
