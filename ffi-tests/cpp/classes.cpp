// The classes of crigc.hpp: who frees what, moves, errors, callbacks and what they throw.
// Arguments: the socket of a crisim, and the socket of one whose removals hang; or "leaving", and the socket of a crisim: an engine is
// freed in its own callback, and its memory is never freed.
#include "crigc.hpp"

#include <condition_variable>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <type_traits>

#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

static_assert(!std::is_copy_constructible<crigc::config>::value, "a config has one owner");
static_assert(!std::is_copy_constructible<crigc::engine>::value, "an engine has one owner");
static_assert(!std::is_copy_constructible<crigc::report>::value, "a report has one owner");
static_assert(!std::is_copy_constructible<crigc::call>::value, "a call has one owner");
static_assert(std::is_nothrow_move_constructible<crigc::engine>::value, "an engine moves");
static_assert(std::is_nothrow_move_constructible<crigc::report>::value, "a report moves");
static_assert(std::is_nothrow_copy_constructible<crigc::error>::value, "an error can be thrown");

namespace {

constexpr std::uint64_t full_disk = std::uint64_t(1) << 50;

/* What a callback throws: not an std::exception, so that only `catch (...)` sees it. */
struct thrown {
    const char *by;
};

crigc::config configured(const std::string &endpoint)
{
    crigc::config config;
    config.set("container-runtime-endpoint", endpoint).set("pod-logs-dir", "").set("container-logs-dir", "");
    config.on_image_fs([](crigc::fs_usage &usage) {
        usage.capacity = full_disk;
        usage.available = 10;
        return true;
    });
    return config;
}

/* A stream socket that is connected to the path of an endpoint. */
int connected(const std::string &endpoint)
{
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = endpoint.substr(endpoint.find('/') + (endpoint.compare(0, 7, "unix://") == 0 ? 2 : 0));
    CHECK(path.size() < sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
    return fd;
}

/* Every third pod is gone. */
bool a_third_is_gone(crigc::pods &pods)
{
    for (std::size_t i = 0; i < pods.size(); i += 3)
        pods.set(i, pods.uid(i)[0] == '\0' ? crigc::keep : crigc::content_removable | crigc::runtime_removable);
    return true;
}

template <class Function> crigc::status status_thrown_by(Function &&function)
{
    try {
        function();
    } catch (const crigc::error &error) {
        CHECK(error && error.what()[0] != '\0');
        return error.status();
    }
    return crigc::status::ok;
}

template <class Function> crigc::pass_error failure_of(Function &&function)
{
    try {
        function();
    } catch (const crigc::pass_error &error) {
        return error;
    }
    return crigc::pass_error(crigc::error(), crigc::report());
}

/* Who threw what a call throws again; "" if it returns. */
template <class Function> std::string thrown_again_by(Function &&function)
{
    try {
        function();
    } catch (const thrown &exception) {
        return exception.by;
    }
    return "";
}

void keys_are_set_and_read()
{
    crigc::config config;
    CHECK(config.set("dry-run", "true").get("dry-run") == "true");
    CHECK(status_thrown_by([&] { config.set("no-such-key", "1"); }) == crigc::status::invalid_argument);
    CHECK(status_thrown_by([&] { config.get("no-such-key"); }) == crigc::status::invalid_argument);

    crigc::error error;
    std::string value = "as it was";
    CHECK(!error && error.status() == crigc::status::ok && error.what()[0] == '\0');
    CHECK(!config.set("image-gc-high-threshold", "101", error) && error.status() == crigc::status::invalid_argument);
    CHECK(std::string(error.what()).find("image-gc-high-threshold") != std::string::npos);
    CHECK(!config.get("no-such-key", value, error) && error && value == "as it was");
    CHECK(config.get("image-gc-high-threshold", value, error) && !error && value == "85");

    // C would see "3".
    CHECK(!config.set("maximum-dead-containers", std::string("3\0000", 3), error) && error);
    CHECK(!config.set(std::string("dry-run\0x", 9), "false", error) && error);
    CHECK(!config.get(std::string("dry-run\0x", 9), value, error) && error);
    CHECK(config.get("maximum-dead-containers") == "-1" && config.get("dry-run") == "true");

    // No file of this folder is a drop-in.
    CHECK(config.load(".", error) && !error && config.load("./").get("dry-run") == "true");
    CHECK(!config.load("/nonexistent", error) && error.status() == crigc::status::io);
    CHECK(!config.load(std::string(".\0x", 3), error) && error.status() == crigc::status::invalid_argument);
    CHECK(status_thrown_by([&] { config.load(""); }) == crigc::status::invalid_argument);

    std::vector<const char *> keys = crigc::keys();
    CHECK(keys.size() > 20 && crigc::key_help(keys[0]) != nullptr && crigc::key_help("no-such-key") == nullptr);
}

void names_are_those_of_the_library()
{
    CHECK(crigc::library_fits() && std::string(crigc::version()) == GC_VERSION);
    CHECK(crigc::name(crigc::status::timeout) == std::string("GC_ERROR_TIMEOUT"));
    CHECK(crigc::name(crigc::kind::pod_logs) == std::string("pod-logs"));
    CHECK(crigc::name(crigc::outcome::refused) == std::string("refused"));
}

void errors_outlive_what_they_came_from()
{
    crigc::error kept;
    {
        crigc::config config;
        config.set("image-gc-low-threshold", "90");
        crigc::engine engine(config, kept);
        CHECK(!engine && kept.status() == crigc::status::config);
        CHECK(status_thrown_by([&] { crigc::engine thrown(config); }) == crigc::status::config);
        crigc::error copy(kept);
        crigc::error other = copy;
        CHECK(other.what() == kept.what());
    }
    CHECK(std::string(kept.what()).find("threshold") != std::string::npos);

    // What is false does what C does for NULL.
    crigc::config config;
    crigc::config taken(std::move(config));
    CHECK(!config && taken && status_thrown_by([&] { config.set("dry-run", "true"); }) == crigc::status::invalid_argument);
    CHECK(status_thrown_by([&] { crigc::engine of_nothing(config); }) == crigc::status::invalid_argument);
    crigc::report nothing;
    CHECK(!nothing && nothing.empty() && nothing.begin() == nothing.end() && nothing.json().empty() && nothing.explain(0).empty() && !nothing.fs_before());
}

void handles_move(const std::string &endpoint)
{
    crigc::engine first(configured(endpoint));
    crigc::engine second(std::move(first));
    CHECK(!first && second);
    CHECK(status_thrown_by([&] { first.containers(); }) == crigc::status::invalid_argument);
    first.stop();
    first.close();
    CHECK(first.metrics().empty());
    first = std::move(second);
    CHECK(first && !second);
    // The engine that was there is freed.
    first = crigc::engine(configured(endpoint));

    crigc::report report = first.containers(crigc::flags::dry_run);
    std::size_t size = report.size();
    crigc::report other(std::move(report));
    CHECK(!report && report.empty() && other && other.size() == size && size > 0);
    report = std::move(other);
    CHECK(report.size() == size && other.empty());
    crigc::error error;
    report = first.images(error, crigc::flags::dry_run | crigc::flags::no_wait);
    CHECK(report.dry_run() && error.status() == crigc::status::not_enough_freed);
    std::string metrics = first.metrics();
    CHECK(metrics.find("crigc_passes_total{engine=\"") != std::string::npos);
    CHECK(metrics.find("pass=\"images\",status=\"GC_ERROR_NOT_ENOUGH_FREED\"} 1\n") != std::string::npos);

    crigc::call call(std::chrono::seconds(5));
    crigc::call moved(std::move(call));
    CHECK(!call && moved);
}

void a_report_reads_like_that_of_c(const std::string &endpoint)
{
    crigc::report report;
    {
        crigc::config config = configured(endpoint);
        config.on_pod_states(a_third_is_gone);
        crigc::engine engine(config);
        report = engine.containers(crigc::flags::dry_run | crigc::flags::all_unused);
    }
    CHECK(report.dry_run() && report.status() == crigc::status::ok && report.seconds() >= 0);
    CHECK(report.started().time_since_epoch().count() > 0 && report.pace(crigc::kind::container) == nullptr);
    std::size_t seen = 0, removed = 0;
    for (crigc::entry entry : report) {
        const gc_entry *c = gc_report_entry(report.get(), seen);
        CHECK(entry.get() == c && report[seen].get() == c && entry.id() == c->id && entry.name() == c->name);
        CHECK(entry.pod_uid() == c->pod_uid && entry.reason() == c->reason && entry.error() == c->error && entry.bytes() == c->bytes);
        CHECK(static_cast<gc_kind>(entry.kind()) == c->kind && entry.reason_text() == gc_reason_text(c->reason));
        std::string why = report.explain(seen);
        CHECK(why.find(entry.outcome() == crigc::outcome::removed ? "emoved: " : "Kept: ") != std::string::npos && why.back() == '.');
        removed += entry.outcome() == crigc::outcome::removed;
        seen++;
    }
    CHECK(seen == report.size() && seen == report.count() && removed > 0 && report.explain(seen).empty());
    CHECK(removed == report.count(crigc::kind::any, crigc::outcome::removed));
    CHECK(report.count(crigc::kind::image) == 0 && report.json().find("\"containers\"") != std::string::npos);
}

void one_pod_is_collected(const std::string &endpoint)
{
    std::vector<crigc::pass> ended;
    crigc::config config = configured(endpoint);
    config.on_pass([&](crigc::pass of, crigc::report_view, const crigc::error &) { ended.push_back(of); });
    crigc::engine engine(config);
    crigc::report all = engine.containers(crigc::flags::dry_run);
    std::string uid;
    for (crigc::entry entry : all)
        if (entry.outcome() == crigc::outcome::removed && entry.kind() == crigc::kind::container)
            uid = entry.pod_uid();
    crigc::report one = engine.pod(uid, crigc::flags::dry_run | crigc::flags::pod_gone);
    CHECK(one.dry_run() && one.count(crigc::kind::any, crigc::outcome::removed) > 0 && one.size() < all.size());
    for (crigc::entry entry : one)
        CHECK(entry.pod_uid() == uid);
    CHECK(ended.size() == 2 && ended[1] == crigc::pass::pod);

    crigc::error error;
    CHECK(engine.pod(uid, error, crigc::flags::dry_run).size() == one.size() && !error);
    CHECK(!engine.pod("", error) && error.status() == crigc::status::invalid_argument);
    // C would see a UID of one letter.
    CHECK(!engine.pod(std::string("u\0x", 3), error) && error.status() == crigc::status::invalid_argument);
    CHECK(status_thrown_by([&] { engine.pod(std::string("u\0x", 3)); }) == crigc::status::invalid_argument);
    CHECK(status_thrown_by([&] { engine.containers(crigc::flags::pod_gone); }) == crigc::status::invalid_argument);
}

/* All callbacks in two passes that remove. */
void callbacks_are_called(const std::string &endpoint)
{
    std::set<std::string> seen;
    std::size_t approved = 0;
    crigc::error failure;
    crigc::config config = configured(endpoint);
    config.on_log(crigc::log_level::debug, [&](crigc::log_level, const char *message) { seen.insert(message[0] ? "log" : ""); });
    config.on_pod_states([&](crigc::pods &pods) {
        seen.insert("pod_states");
        pods.as_of(std::chrono::system_clock::now());
        return a_third_is_gone(pods);
    });
    config.on_approve([&](crigc::entry planned) { return planned.outcome() == crigc::outcome::kept && ++approved % 2 == 0; });
    config.on_event([&](const char *reason, const char *) { seen.insert(reason); });
    config.on_progress([&](crigc::kind, std::size_t done, std::size_t total) { seen.insert(done <= total ? "progress" : ""); });
    config.on_pass([&](crigc::pass of, crigc::report_view report, const crigc::error &error) {
        seen.insert(of == crigc::pass::images ? "images" : "containers");
        failure = error;
        CHECK(report && error.status() == report.status());
    });
    config.on_clock([&] {
        seen.insert("clock");
        return std::chrono::system_clock::now() + std::chrono::hours(1);
    });
    std::size_t connections = 0;
    config.on_connect([&, endpoint](crigc::service to) {
        seen.insert(to == crigc::service::image ? "to images" : "to the runtime");
        connections++;
        return connected(endpoint);
    });
    config.set("container-runtime-endpoint", "the runtime of VM 3");
    crigc::engine engine(config);
    // The engine keeps what it was made with.
    config = crigc::config();

    crigc::report report = engine.containers();
    CHECK(report.count(crigc::kind::any, crigc::outcome::removed) > 0 && report.count(crigc::kind::any, crigc::outcome::refused) > 0);
    CHECK(report.pace(crigc::kind::container)->in_flight_most > 0 && !failure);
    crigc::error error;
    report = engine.images(error);
    // The callback says that the disk is full for ever.
    CHECK(error.status() == crigc::status::not_enough_freed && report.bytes_freed() > 0 && report.fs_before()->capacity == full_disk);
    CHECK(report.fs_after()->available == 10 && failure.status() == error.status() && std::string(failure.what()) == error.what());
    CHECK(failure_of([&] { engine.images(); }).report().status() == crigc::status::not_enough_freed);
    CHECK(connections == 5);
    for (const char *name :
         {"log", "pod_states", "progress", "images", "containers", "clock", "FreeDiskSpaceFailed", "to images", "to the runtime"})
        CHECK(seen.count(name) == 1);
    CHECK(seen.count("") == 0);
}

/* A callback that throws, and how the pass then ends. */
void what_a_callback_throws_counts_as_no(const std::string &endpoint)
{
    struct row {
        const char *name;
        std::function<void(crigc::config &)> set;
        bool images;
        crigc::status status;
    };
    const row rows[] = {
        {"log", [](crigc::config &c) { c.on_log(crigc::log_level::debug, [](crigc::log_level, const char *) { throw thrown{"log"}; }); },
         false, crigc::status::ok},
        {"pod_states", [](crigc::config &c) { c.on_pod_states([](crigc::pods &pods) -> bool { a_third_is_gone(pods); throw thrown{"pod_states"}; }); },
         false, crigc::status::ok},
        {"approve", [](crigc::config &c) { c.on_approve([](crigc::entry) -> bool { throw thrown{"approve"}; }); }, false, crigc::status::ok},
        {"image_fs", [](crigc::config &c) { c.on_image_fs([](crigc::fs_usage &) -> bool { throw thrown{"image_fs"}; }); }, true,
         crigc::status::io},
        {"event", [](crigc::config &c) { c.on_event([](const char *, const char *) { throw thrown{"event"}; }); }, true,
         crigc::status::not_enough_freed},
        {"progress", [](crigc::config &c) { c.on_progress([](crigc::kind, std::size_t, std::size_t) { throw thrown{"progress"}; }); }, false,
         crigc::status::ok},
        {"pass", [](crigc::config &c) { c.on_pass([](crigc::pass, crigc::report_view, const crigc::error &) { throw thrown{"pass"}; }); },
         false, crigc::status::ok},
        {"clock", [](crigc::config &c) { c.on_clock([]() -> crigc::time_point { throw thrown{"clock"}; }); }, false,
         crigc::status::invalid_argument},
        {"connect", [](crigc::config &c) { c.on_connect([](crigc::service) -> int { throw thrown{"connect"}; }); }, false,
         crigc::status::unavailable},
    };
    for (const row &row : rows) {
        std::string name = row.name;
        crigc::config config = configured(endpoint);
        // So that something is always left to remove.
        if (name != "progress")
            config.on_approve([](crigc::entry) { return false; });
        row.set(config);
        crigc::engine engine(config);
        crigc::error error;
        crigc::report report = row.images ? engine.images(error) : engine.containers(error);
        CHECK(error.status() == row.status);
        CHECK(name == "progress" || report.count(crigc::kind::any, crigc::outcome::removed) == 0);
        CHECK(name != "approve" || report.count(crigc::kind::any, crigc::outcome::refused) > 0);
        if (name == "pod_states")
            for (crigc::entry entry : report)
                CHECK(std::string(entry.reason()) != "pod-removed");
        if (name != "progress")
            CHECK(thrown_again_by([&] { row.images ? engine.images() : engine.containers(); }) == name);
    }
}

void a_call_ends_at_its_deadline_and_by_a_cancel(const std::string &hanging)
{
    crigc::engine engine(configured(hanging));
    crigc::call past(std::chrono::milliseconds(-5));
    while (status_thrown_by([&] { engine.containers(crigc::flags::dry_run, &past); }) != crigc::status::timeout)
        std::this_thread::yield();
    crigc::call soon(std::chrono::milliseconds(300));
    crigc::pass_error failed = failure_of([&] { engine.containers(crigc::flags::none, &soon); });
    CHECK(failed.status() == crigc::status::timeout && !failed.report().empty());
    crigc::call call;
    std::thread canceller([&] { call.cancel(); });
    CHECK(status_thrown_by([&] { engine.containers(crigc::flags::none, &call); }) == crigc::status::cancelled);
    canceller.join();
    std::thread closer([&] { engine.close(); });
    CHECK(status_thrown_by([&] { engine.containers(); }) == crigc::status::closed);
    closer.join();
}

void periodic_passes_run_and_drop_exceptions(const std::string &endpoint)
{
    std::mutex mutex;
    std::condition_variable changed;
    int passes = 0;
    crigc::config config = configured(endpoint);
    config.set("dry-run", "true").set("container-gc-period", "10ms");
    config.on_pass([&](crigc::pass, crigc::report_view, const crigc::error &) {
        std::lock_guard<std::mutex> lock(mutex);
        passes++;
        changed.notify_all();
        throw std::runtime_error("nobody catches this");
    });
    crigc::engine engine(config);
    engine.start();
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return passes >= 3; });
    lock.unlock();
    engine.stop();
    engine.close();
    CHECK(status_thrown_by([&] { engine.start(); }) == crigc::status::closed);
}

/* What an engine is replaced by has other functions; those of the old one are called until it has ended. */
void an_engine_that_runs_may_be_replaced(const std::string &endpoint)
{
    for (int i = 0; i < 20; i++) {
        std::promise<void> began;
        bool first = true;
        std::string large(1000, 'x');
        crigc::config config = configured(endpoint);
        config.set("dry-run", "true").set("container-gc-period", "1ms");
        config.on_pod_states([&began, &first, large](crigc::pods &) {
            if (first)
                began.set_value();
            first = false;
            return large.size() == 1000;
        });
        crigc::engine engine(config);
        config = crigc::config();
        engine.start();
        began.get_future().wait();
        engine = crigc::engine(configured(endpoint));
    }
}

/* In a callback the library refuses what would wait for itself, and a config keeps the functions that C still knows. */
void a_callback_cannot_change_a_config(const std::string &endpoint)
{
    crigc::config config = configured(endpoint);
    std::vector<crigc::status> refused;
    std::unique_ptr<crigc::engine> engine;
    std::size_t calls = 0;
    config.on_clock([&] {
        if (calls++ == 0) {
            config.on_clock(nullptr);
            refused.push_back(status_thrown_by([&] { config.set("dry-run", "false"); }));
            refused.push_back(status_thrown_by([&] { engine->containers(); }));
            CHECK(!crigc::config() && !crigc::call());
        }
        return std::chrono::system_clock::now();
    });
    engine.reset(new crigc::engine(config));
    engine->containers(crigc::flags::dry_run);
    CHECK(refused.size() == 2 && refused[0] == crigc::status::busy && refused[1] == crigc::status::busy);
    std::size_t before = calls;
    engine.reset(new crigc::engine(config));
    engine->containers(crigc::flags::dry_run);
    CHECK(calls > before);
    config.on_clock(nullptr);
    before = calls;
    engine.reset(new crigc::engine(config));
    engine->containers(crigc::flags::dry_run);
    CHECK(calls == before);
}

/* The pass goes on after the destructor, and calls functions that the engine owned. */
void an_engine_may_end_in_its_callback(const std::string &endpoint)
{
    std::unique_ptr<crigc::engine> engine;
    std::string after;
    crigc::config config = configured(endpoint);
    config.on_pod_states([&](crigc::pods &) {
        engine.reset();
        return true;
    });
    std::string large(1000, 'x');
    config.on_pass([&after, large](crigc::pass, crigc::report_view, const crigc::error &) { after = large; });
    engine.reset(new crigc::engine(config));
    config = crigc::config();
    crigc::error error;
    gc_engine *handle = engine->get();
    CHECK(gc_containers(handle, GC_DRY_RUN, nullptr, nullptr, nullptr) == GC_ERROR_CLOSED);
    CHECK(!engine && after == large);
}

} // namespace

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    const std::string endpoint = argv[1], hanging = argv[2];
    if (endpoint == "leaving") {
        an_engine_may_end_in_its_callback(hanging);
        return 0;
    }
    keys_are_set_and_read();
    names_are_those_of_the_library();
    errors_outlive_what_they_came_from();
    handles_move(endpoint);
    a_report_reads_like_that_of_c(endpoint);
    one_pod_is_collected(endpoint);
    what_a_callback_throws_counts_as_no(endpoint);
    a_callback_cannot_change_a_config(endpoint);
    periodic_passes_run_and_drop_exceptions(endpoint);
    an_engine_that_runs_may_be_replaced(endpoint);
    callbacks_are_called(endpoint);
    a_call_ends_at_its_deadline_and_by_a_cancel(hanging);
    return 0;
}
