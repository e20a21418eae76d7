/*
 * crigc for C++11 and later: the functions of crigc.h as classes that free what they own. It has only this header, and nothing that
 * crigc.h does not have. crigc.h is the manual; the comments here say what is different in C++.
 *
 *     crigc::config config;
 *     config.set("container-runtime-endpoint", "unix:///run/containerd/containerd.sock");
 *     crigc::engine engine(config);
 *     crigc::report report = engine.containers(crigc::flags::dry_run);
 *     for (crigc::entry entry : report)
 *         std::cout << entry.id() << ": " << entry.reason() << '\n';
 *
 * Failures. A function that can fail exists twice. One throws crigc::error. The other is noexcept and receives a `crigc::error &`,
 * which is false after a success. With -fno-exceptions only the second one exists. A pass that fails can have a report, too:
 * crigc::pass_error holds it.
 *
 * Ownership. config, engine, call and report are moved, not copied. An object that was moved from, and one whose making failed, is
 * false, and its functions do what those of crigc.h do for NULL. An engine keeps the callbacks that it was made with. A string of
 * a `const char *` is valid as long as the object that it came from.
 *
 * Callbacks. A callback that throws counts as the answer that removes nothing: no exception reaches the library. A call of this thread
 * that throws its errors throws the first such exception again at its end, and only on_pass receives the report; other calls and
 * periodic passes drop it.
 *
 * Memory. If memory runs out, the library and every noexcept function end the program; other functions throw std::bad_alloc.
 *
 * With -fno-exceptions all names are in crigc::without_exceptions. So a program may have parts with and without exceptions; they cannot pass
 * objects of crigc to each other.
 */
#ifndef CRIGC_HPP
#define CRIGC_HPP

#include "crigc.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define CRIGC_EXCEPTIONS 1
#define CRIGC_C(function) crigc_cpp_##function
#else
#define CRIGC_C(function) crigc_cpp_##function##_without_exceptions
#endif

namespace crigc {
#ifndef CRIGC_EXCEPTIONS
inline namespace without_exceptions {
#endif

/** How a call ended. Treat a number that you do not know as a failure. */
enum class status : gc_status {
    ok = GC_OK,
    invalid_argument = GC_ERROR_INVALID_ARGUMENT,
    config = GC_ERROR_CONFIG,
    unavailable = GC_ERROR_UNAVAILABLE,
    runtime = GC_ERROR_RUNTIME,
    timeout = GC_ERROR_TIMEOUT,
    cancelled = GC_ERROR_CANCELLED,
    io = GC_ERROR_IO,
    not_enough_freed = GC_ERROR_NOT_ENOUGH_FREED,
    internal = GC_ERROR_INTERNAL,
    busy = GC_ERROR_BUSY,
    closed = GC_ERROR_CLOSED,
    contradiction = GC_ERROR_CONTRADICTION
};

/** The kind of an object. */
enum class kind : gc_kind {
    any = GC_ANY_KIND,
    container = GC_CONTAINER,
    sandbox = GC_SANDBOX,
    pod_logs = GC_POD_LOGS,
    log_link = GC_LOG_LINK,
    image = GC_IMAGE
};

/** What happened to an object. Treat a number that you do not know as kept. */
enum class outcome : gc_outcome {
    any = GC_ANY_OUTCOME,
    kept = GC_KEPT,
    removed = GC_REMOVED,
    failed = GC_FAILED,
    refused = GC_REFUSED
};

/** The kind of a pass. */
enum class pass : gc_pass { containers = GC_PASS_CONTAINERS, images = GC_PASS_IMAGES, pod = GC_PASS_POD };

/** A service of the runtime. */
enum class service : gc_service { runtime = GC_SERVICE_RUNTIME, image = GC_SERVICE_IMAGE };

/** The level of a log message. */
enum class log_level : gc_log_level {
    error = GC_LOG_ERROR,
    warn = GC_LOG_WARN,
    info = GC_LOG_INFO,
    debug = GC_LOG_DEBUG
};

/** Flags of a call, joined with |. */
enum class flags : std::uint32_t {
    none = 0,
    dry_run = GC_DRY_RUN,
    all_unused = GC_ALL_UNUSED,
    no_wait = GC_NO_WAIT,
    /** Of engine::pod alone. */
    pod_gone = GC_POD_GONE
};

inline constexpr flags operator|(flags a, flags b) noexcept
{
    return static_cast<flags>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}

/** What may be removed of a pod, as bits joined with |. */
using pod_state = gc_pod_state;
constexpr pod_state keep = 0;
constexpr pod_state content_removable = GC_POD_CONTENT_REMOVABLE;
constexpr pod_state runtime_removable = GC_POD_RUNTIME_REMOVABLE;

/** Size and use of a filesystem. */
using fs_usage = gc_fs_usage;

/** How removals ran. */
using pace = gc_pace;

/** The wall clock. */
using time_point = std::chrono::system_clock::time_point;

/** The names of crigc.h and of the report's JSON, such as "GC_ERROR_TIMEOUT", "container" and "removed". */
inline const char *name(status number) noexcept { return gc_status_name(static_cast<gc_status>(number)); }
inline const char *name(kind number) noexcept { return gc_kind_name(static_cast<gc_kind>(number)); }
inline const char *name(outcome number) noexcept { return gc_outcome_name(static_cast<gc_outcome>(number)); }

/** The version of the library. */
inline const char *version() noexcept { return gc_version(); }

/** Whether the library has the interface of this header. The making of an engine checks it, too. */
inline bool library_fits() noexcept { return gc_abi() == GC_ABI; }

/** The keys of a config, and what each of them does; NULL for an unknown key. */
inline std::vector<const char *> keys()
{
    std::vector<const char *> all;
    for (const char *key; (key = gc_config_key(all.size())) != nullptr;)
        all.push_back(key);
    return all;
}
inline const char *key_help(const char *key) noexcept { return gc_config_key_help(key); }

class report;

namespace detail {

template <class Handle, void (*Free)(Handle *)> struct deleter {
    void operator()(Handle *handle) const noexcept { Free(handle); }
};
template <class Handle, void (*Free)(Handle *)> using owned = std::unique_ptr<Handle, deleter<Handle, Free>>;
using owned_string = owned<char, gc_string_free>;

inline time_point from_ns(std::int64_t ns)
{
    return time_point(std::chrono::duration_cast<time_point::duration>(std::chrono::nanoseconds(ns)));
}

inline std::int64_t to_ns(time_point at)
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

} // namespace detail

/** A failure, to throw or to receive. Copies share one message. */
class error : public std::exception {
public:
    /** No failure. */
    error() noexcept = default;

    /** Takes over an error of the library; NULL = no failure. */
    explicit error(gc_error *from) : status_(static_cast<crigc::status>(gc_error_status(from)))
    {
        if (from != nullptr) {
            std::shared_ptr<gc_error> owner(from, gc_error_free);
            message_ = std::shared_ptr<const char>(owner, gc_error_message(from));
        }
    }

    /** A failure with a message of its own. */
    error(crigc::status number, const std::string &message) : status_(number)
    {
        std::shared_ptr<const std::string> owner = std::make_shared<const std::string>(message);
        message_ = std::shared_ptr<const char>(owner, owner->c_str());
    }

    /** Whether this is a failure. */
    explicit operator bool() const noexcept { return status_ != crigc::status::ok; }
    crigc::status status() const noexcept { return status_; }

    /** What failed, on which object, why, and what to do about it; "" if nothing failed. */
    const char *what() const noexcept override { return message_ ? message_.get() : ""; }

private:
    crigc::status status_ = crigc::status::ok;
    std::shared_ptr<const char> message_;
};

/** One object that a pass decided on. It is valid as long as its report. */
class entry {
public:
    explicit entry(const gc_entry *from) noexcept : entry_(from) {}
    crigc::kind kind() const noexcept { return static_cast<crigc::kind>(entry_->kind); }
    crigc::outcome outcome() const noexcept { return static_cast<crigc::outcome>(entry_->outcome); }
    /** The ID of a container, sandbox or image, or the path of logs or a link. */
    const char *id() const noexcept { return entry_->id; }
    /** namespace/pod/container, namespace/pod, or the image's first tag; "" if none. */
    const char *name() const noexcept { return entry_->name; }
    /** The UID of its pod; "" if none. */
    const char *pod_uid() const noexcept { return entry_->pod_uid; }
    /** A stable word: why it was removed, was to be removed, or was kept. */
    const char *reason() const noexcept { return entry_->reason; }
    /** A sentence for people about the reason. */
    const char *reason_text() const noexcept { return gc_reason_text(entry_->reason); }
    /** What failed; NULL unless the outcome is failed or refused. */
    const char *error() const noexcept { return entry_->error; }
    /** The size of an image in bytes; 0 for other kinds. */
    std::uint64_t bytes() const noexcept { return entry_->bytes; }
    const gc_entry *get() const noexcept { return entry_; }

private:
    const gc_entry *entry_;
};

/** A report that somebody else owns: what a callback receives. */
class report_view {
public:
    explicit report_view(const gc_report *from = nullptr) noexcept : view_(from) {}
    explicit operator bool() const noexcept { return view_ != nullptr; }
    const gc_report *get() const noexcept { return view_; }

    bool dry_run() const noexcept { return gc_report_dry_run(view_) == 1; }
    /** When the pass began; the epoch if there is no report. */
    time_point started() const { return detail::from_ns(gc_report_started(view_)); }
    /** How long the pass took. */
    double seconds() const noexcept { return gc_report_seconds(view_); }
    crigc::status status() const noexcept { return static_cast<crigc::status>(gc_report_status(view_)); }
    /** How full the image filesystem was when the pass first and last read it; NULL if it did not. */
    const fs_usage *fs_before() const noexcept { return gc_report_fs_before(view_); }
    const fs_usage *fs_after() const noexcept { return gc_report_fs_after(view_); }
    /** How the removals of a kind ran; NULL if there were none. */
    const crigc::pace *pace(crigc::kind of) const noexcept { return gc_report_pace(view_, static_cast<gc_kind>(of)); }
    std::size_t count(crigc::kind of = crigc::kind::any, crigc::outcome with = crigc::outcome::any) const noexcept
    {
        return gc_report_count(view_, static_cast<gc_kind>(of), static_cast<gc_outcome>(with));
    }
    std::uint64_t bytes_freed() const noexcept { return gc_report_bytes_freed(view_); }
    /** The report as one JSON object; "" if there is no report. */
    std::string json() const
    {
        detail::owned_string text(gc_report_json(view_));
        return text ? std::string(text.get()) : std::string();
    }

    /** Explains the entry at `index` for people, with the values that were compared; "" past the end. */
    std::string explain(std::size_t index) const
    {
        detail::owned_string text(gc_report_explain(view_, index));
        return text ? std::string(text.get()) : std::string();
    }

    std::size_t size() const noexcept { return gc_report_len(view_); }
    bool empty() const noexcept { return size() == 0; }
    /** The entry at `index`, which has to be below size(). */
    crigc::entry operator[](std::size_t index) const noexcept { return crigc::entry(gc_report_entry(view_, index)); }

    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = crigc::entry;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = crigc::entry;
        iterator() noexcept = default;
        iterator(const gc_report *of, std::size_t at) noexcept : report_(of), index_(at) {}
        crigc::entry operator*() const noexcept { return crigc::entry(gc_report_entry(report_, index_)); }
        iterator &operator++() noexcept
        {
            ++index_;
            return *this;
        }
        iterator operator++(int) noexcept
        {
            iterator before = *this;
            ++index_;
            return before;
        }
        bool operator==(const iterator &other) const noexcept { return index_ == other.index_; }
        bool operator!=(const iterator &other) const noexcept { return index_ != other.index_; }

    private:
        const gc_report *report_ = nullptr;
        std::size_t index_ = 0;
    };
    iterator begin() const noexcept { return iterator(view_, 0); }
    iterator end() const noexcept { return iterator(view_, size()); }

protected:
    void view(const gc_report *of) noexcept { view_ = of; }

private:
    const gc_report *view_;
};

/** A report of one's own. It outlives its engine. */
class report : public report_view {
public:
    report() noexcept = default;
    /** Takes over a report of the library. */
    explicit report(gc_report *from) noexcept : report_view(from), owned_(from) {}
    report(report &&other) noexcept : report_view(other.get()), owned_(std::move(other.owned_)) { other.view(nullptr); }
    report &operator=(report &&other) noexcept
    {
        owned_ = std::move(other.owned_);
        view(owned_.get());
        other.view(other.owned_.get());
        return *this;
    }

private:
    detail::owned<gc_report, gc_report_free> owned_;
};

/** A failed pass, with its report. */
class pass_error : public error {
public:
    pass_error(const error &failure, crigc::report &&of) : error(failure), report_(std::make_shared<crigc::report>(std::move(of))) {}
    /** What the pass did before it failed; false if it never began. */
    const crigc::report &report() const noexcept { return *report_; }

private:
    std::shared_ptr<const crigc::report> report_;
};

/** The deadline of calls, and the means to cancel them. */
class call {
public:
    /** Without a deadline. */
    call() noexcept : owned_(gc_call_new(0)) {}
    /** With a deadline from now; 0 = none. What is less than 0 has passed already. */
    explicit call(std::chrono::milliseconds timeout) noexcept
        : owned_(gc_call_new(timeout.count() < 0 ? 1 : static_cast<std::uint64_t>(timeout.count())))
    {
    }
    explicit operator bool() const noexcept { return owned_ != nullptr; }
    /** May be called from any thread and from callbacks. */
    void cancel() noexcept { gc_call_cancel(owned_.get()); }
    gc_call *get() const noexcept { return owned_.get(); }

private:
    detail::owned<gc_call, gc_call_free> owned_;
};

/** The pods that a pass asks about. All begin as `keep`. It is valid during the callback. */
class pods {
public:
    pods(const char *const *uids, pod_state *states, std::size_t count, std::int64_t *as_of) noexcept
        : uids_(uids), states_(states), count_(count), as_of_(as_of)
    {
    }
    std::size_t size() const noexcept { return count_; }
    /** The UID at `index`, which has to be below size(). */
    const char *uid(std::size_t index) const noexcept { return uids_[index]; }
    /** Says what may be removed of the pod at `index`, which has to be below size(). */
    void set(std::size_t index, pod_state state) noexcept { states_[index] = state; }
    /** Says which moment the answer describes, if it describes the past. */
    void as_of(time_point at) noexcept { *as_of_ = detail::to_ns(at); }

private:
    const char *const *uids_;
    pod_state *states_;
    std::size_t count_;
    std::int64_t *as_of_;
};

/** Callbacks, see the functions of config that set them. */
using log_fn = std::function<void(log_level, const char *message)>;
using pod_states_fn = std::function<bool(pods &)>;
using approve_fn = std::function<bool(entry planned)>;
using image_fs_fn = std::function<bool(fs_usage &)>;
using event_fn = std::function<void(const char *reason, const char *message)>;
using progress_fn = std::function<void(kind, std::size_t done, std::size_t total)>;
using pass_fn = std::function<void(pass, report_view, const error &)>;
using clock_fn = std::function<time_point()>;
using connect_fn = std::function<int(service)>;

namespace detail {

#ifdef CRIGC_EXCEPTIONS
/* Where the callbacks of this thread leave their first exception; NULL = they drop it. */
inline std::exception_ptr *&catcher() noexcept
{
    static thread_local std::exception_ptr *here = nullptr;
    return here;
}

/* Catches the first exception of the callbacks of one call. A call that a callback makes has its own. */
class callbacks_of_a_call {
public:
    callbacks_of_a_call() noexcept : outer_(catcher()) { catcher() = &first_; }
    callbacks_of_a_call(const callbacks_of_a_call &) = delete;
    callbacks_of_a_call &operator=(const callbacks_of_a_call &) = delete;
    ~callbacks_of_a_call() { catcher() = outer_; }
    void rethrow() const
    {
        if (first_)
            std::rethrow_exception(first_);
    }

private:
    std::exception_ptr *outer_;
    std::exception_ptr first_;
};
#endif

/* Runs a callback; what it throws becomes `otherwise`. */
template <class Answer, class Function> Answer answer(Answer otherwise, Function &&function) noexcept
{
#ifdef CRIGC_EXCEPTIONS
    try {
        return function();
    } catch (...) {
        if (catcher() != nullptr && !*catcher())
            *catcher() = std::current_exception();
        return otherwise;
    }
#else
    (void)otherwise;
    return function();
#endif
}

template <class Function> void notify(Function &&function) noexcept
{
    answer(0, [&] {
        function();
        return 0;
    });
}

template <class Function> const Function &from(void *context) noexcept { return *static_cast<const Function *>(context); }

/* The functions that the library calls. The context is the C++ function. */
extern "C" {
inline void CRIGC_C(log)(void *context, gc_log_level level, const char *message)
{
    notify([&] { from<log_fn>(context)(static_cast<log_level>(level), message); });
}
inline std::int32_t CRIGC_C(pod_states)(void *context, const char *const *uids, gc_pod_state *states, std::size_t count,
                                         std::int64_t *as_of)
{
    return answer(0, [&] {
        pods asked(uids, states, count, as_of);
        return from<pod_states_fn>(context)(asked) ? 1 : 0;
    });
}
inline std::int32_t CRIGC_C(approve)(void *context, const gc_entry *planned)
{
    return answer(0, [&] { return from<approve_fn>(context)(entry(planned)) ? 1 : 0; });
}
inline std::int32_t CRIGC_C(image_fs)(void *context, gc_fs_usage *usage)
{
    return answer(0, [&] { return from<image_fs_fn>(context)(*usage) ? 1 : 0; });
}
inline void CRIGC_C(event)(void *context, const char *reason, const char *message)
{
    notify([&] { from<event_fn>(context)(reason, message); });
}
inline void CRIGC_C(progress)(void *context, gc_kind of, std::size_t done, std::size_t total)
{
    notify([&] { from<progress_fn>(context)(static_cast<kind>(of), done, total); });
}
inline void CRIGC_C(pass)(void *context, gc_pass of, gc_status, const gc_report *ended, const gc_error *failure)
{
    notify([&] {
        /* The library's error is only borrowed: this one is a copy, and may be kept. */
        const error copy = failure == nullptr ? error() : error(static_cast<status>(gc_error_status(failure)), gc_error_message(failure));
        from<pass_fn>(context)(static_cast<pass>(of), report_view(ended), copy);
    });
}
inline std::int64_t CRIGC_C(clock)(void *context)
{
    return answer(std::int64_t(0), [&] { return to_ns(from<clock_fn>(context)()); });
}
inline int CRIGC_C(connect)(void *context, gc_service to)
{
    return answer(-1, [&] { return from<connect_fn>(context)(static_cast<service>(to)); });
}
}

/* Functions that C knows. They are kept as long as anything in C may call them. */
using kept_functions = std::vector<std::shared_ptr<void>>;

/* C would take a string with a NUL inside for a shorter one. */
inline bool has_nul(const std::string &text) noexcept { return std::strlen(text.c_str()) != text.size(); }

} // namespace detail

namespace detail {
/* gc_pod, called like gc_containers. */
struct one_pod {
    const char *uid;
    gc_status operator()(gc_engine *of, std::uint32_t with, gc_call *until, gc_report **ended, gc_error **failure) const noexcept
    {
        return gc_pod(of, uid, with, until, ended, failure);
    }
};

/* What every function that can fail says beside a library of another interface. */
inline error misfit()
{
    return error(status::config, "crigc.hpp and the crigc library have different interfaces; use both of one release");
}
} // namespace detail

/** Keys and callbacks that engines are made from. Use it from one thread at a time. */
class config {
public:
    /** The kubelet's defaults and no callbacks. False in a callback. */
    config() noexcept : owned_(library_fits() ? gc_config_new() : nullptr) {}
    explicit operator bool() const noexcept { return owned_ != nullptr; }
    gc_config *get() const noexcept { return owned_.get(); }

    /** Sets a key. Returns whether it did; otherwise `failure` names the key and what it takes. */
    bool set(const std::string &key, const std::string &value, error &failure) noexcept
    {
        gc_error *reason = nullptr;
        if (!library_fits()) {
            failure = detail::misfit();
            return false;
        }
        if (detail::has_nul(key) || detail::has_nul(value)) {
            failure = error(status::invalid_argument, "a key or a value contains a NUL character; remove it");
            return false;
        }
        gc_config_set(get(), key.c_str(), value.c_str(), &reason);
        failure = error(reason);
        return !failure;
    }
    /** Reads a key. Returns whether it did. */
    bool get(const std::string &key, std::string &value, error &failure) const
    {
        gc_error *reason = nullptr;
        if (!library_fits()) {
            failure = detail::misfit();
            return false;
        }
        detail::owned_string text(detail::has_nul(key) ? nullptr : gc_config_get(get(), key.c_str(), &reason));
        failure = text || reason != nullptr ? error(reason) : error(status::invalid_argument, "a key contains a NUL character; remove it");
        if (text)
            value = text.get();
        return !failure;
    }
    /** Sets what the kubelet's own configuration names, a file or a drop-in directory. Returns whether it did; otherwise nothing is set. */
    bool load(const std::string &path, error &failure) noexcept
    {
        gc_error *reason = nullptr;
        if (!library_fits()) {
            failure = detail::misfit();
            return false;
        }
        if (detail::has_nul(path)) {
            failure = error(status::invalid_argument, "a path contains a NUL character; remove it");
            return false;
        }
        gc_config_load(get(), path.c_str(), &reason);
        failure = error(reason);
        return !failure;
    }
#ifdef CRIGC_EXCEPTIONS
    config &set(const std::string &key, const std::string &value)
    {
        error failure;
        if (!set(key, value, failure))
            throw failure;
        return *this;
    }
    config &load(const std::string &path)
    {
        error failure;
        if (!load(path, failure))
            throw failure;
        return *this;
    }
    std::string get(const std::string &key) const
    {
        error failure;
        std::string value;
        if (!get(key, value, failure))
            throw failure;
        return value;
    }
#endif

    /* Each of these sets a callback; an empty function clears it. Engines that exist keep theirs. */

    /** Receives log lines up to a level. */
    void on_log(log_level up_to, log_fn function)
    {
        bool some(function);
        void *context = hold(std::move(function));
        gc_config_set_log(get(), static_cast<gc_log_level>(up_to), some ? detail::CRIGC_C(log) : nullptr, context);
    }
    /** Says which pods may be collected; true = the list of pods is complete. */
    void on_pod_states(pod_states_fn function) { hand(gc_config_set_pod_states, detail::CRIGC_C(pod_states), std::move(function)); }
    /** Approves a removal; true = remove it. */
    void on_approve(approve_fn function) { hand(gc_config_set_approve, detail::CRIGC_C(approve), std::move(function)); }
    /** Says how full the image filesystem is; true = it is filled in. */
    void on_image_fs(image_fs_fn function) { hand(gc_config_set_image_fs, detail::CRIGC_C(image_fs), std::move(function)); }
    /** Receives an event. */
    void on_event(event_fn function) { hand(gc_config_set_event, detail::CRIGC_C(event), std::move(function)); }
    /** Receives the progress of removals. */
    void on_progress(progress_fn function) { hand(gc_config_set_progress, detail::CRIGC_C(progress), std::move(function)); }
    /** Receives the end of a pass. The report is borrowed for the call: do not keep it. */
    void on_pass(pass_fn function) { hand(gc_config_set_pass, detail::CRIGC_C(pass), std::move(function)); }
    /** Is the wall clock. */
    void on_clock(clock_fn function) { hand(gc_config_set_clock, detail::CRIGC_C(clock), std::move(function)); }
    /** Connects to a service of the runtime: the descriptor of a connected stream socket, which the library owns from then on, or -1. */
    void on_connect(connect_fn function) { hand(gc_config_set_connect, detail::CRIGC_C(connect), std::move(function)); }

private:
    friend class engine;

    /* Keeps a function that was replaced, too: in a callback the library does not replace it. */
    template <class Function> void *hold(Function &&function)
    {
        std::shared_ptr<Function> kept = std::make_shared<Function>(std::move(function));
        functions_.push_back(kept);
        return kept.get();
    }
    template <class Setter, class C, class Function> void hand(Setter setter, C called, Function &&function)
    {
        bool some(function);
        void *context = hold(std::move(function));
        setter(get(), some ? called : nullptr, context);
    }

    /* Freed last. */
    detail::kept_functions functions_;
    detail::owned<gc_config, gc_config_free> owned_;
};

/** A configured collector. Any number of threads may use it at once. */
class engine {
public:
    /** False, and `failure` says why, if it cannot be made. */
    engine(const config &from, error &failure) : functions_(new detail::kept_functions(from.functions_))
    {
        gc_error *reason = nullptr;
        if (!library_fits()) {
            failure = detail::misfit();
            return;
        }
        owned_.reset(gc_engine_new(from.get(), &reason));
        failure = error(reason);
    }
    engine(engine &&other) noexcept = default;
    engine &operator=(engine &&other) noexcept
    {
        engine old(std::move(*this));
        functions_ = std::move(other.functions_);
        owned_ = std::move(other.owned_);
        return *this;
    }
    /** Closes the engine, and waits for its passes and calls. In a callback it only closes the engine, and its memory is never freed. */
    ~engine()
    {
        /* A callback cannot make a call. There the pass goes on and calls the functions after this. */
        if (owned_ && !call())
            static_cast<void>(functions_.release());
    }
    explicit operator bool() const noexcept { return owned_ != nullptr; }
    gc_engine *get() const noexcept { return owned_.get(); }

    /** Removes dead containers, sandboxes, logs and links. Returns the report if the pass began, also if it failed. */
    report containers(error &failure, flags with = flags::none, const call *until = nullptr) noexcept
    {
        return collect(gc_containers, failure, with, until);
    }
    /** Removes unused images. Returns the report if the pass began, also if it failed. */
    report images(error &failure, flags with = flags::none, const call *until = nullptr) noexcept
    {
        return collect(gc_images, failure, with, until);
    }
    /** Removes what one pod left behind. Returns the report if the pass began, also if it failed. */
    report pod(const std::string &uid, error &failure, flags with = flags::none, const call *until = nullptr) noexcept
    {
        if (detail::has_nul(uid)) {
            failure = error(status::invalid_argument, "the UID contains a NUL character; remove it");
            return report();
        }
        return collect(detail::one_pod{uid.c_str()}, failure, with, until);
    }
    /** Starts periodic passes. Returns whether they run. */
    bool start(error &failure) noexcept
    {
        gc_error *reason = nullptr;
        gc_start(get(), &reason);
        failure = error(reason);
        return !failure;
    }
    /** Ends the periodic passes, and waits until they have ended. */
    void stop() noexcept { gc_stop(get()); }
    /** Ends passes soon; later calls fail. Never blocks. May be called from any thread and from callbacks. */
    void close() noexcept { gc_close(get()); }
    /** What the engine has counted, as text in Prometheus' format; "" in a callback. Never waits for a pass. */
    std::string metrics() const
    {
        detail::owned_string text(gc_metrics(get()));
        return text ? std::string(text.get()) : std::string();
    }

#ifdef CRIGC_EXCEPTIONS
    explicit engine(const config &from) : functions_(new detail::kept_functions(from.functions_))
    {
        error failure;
        engine made(from, failure);
        if (failure)
            throw failure;
        *this = std::move(made);
    }
    /** These throw pass_error, or what a callback threw. */
    report containers(flags with = flags::none, const call *until = nullptr) { return collect_or_throw(gc_containers, with, until); }
    report images(flags with = flags::none, const call *until = nullptr) { return collect_or_throw(gc_images, with, until); }
    report pod(const std::string &uid, flags with = flags::none, const call *until = nullptr)
    {
        if (detail::has_nul(uid))
            throw pass_error(error(status::invalid_argument, "the UID contains a NUL character; remove it"), report());
        return collect_or_throw(detail::one_pod{uid.c_str()}, with, until);
    }
    void start()
    {
        error failure;
        start(failure);
        if (failure)
            throw failure;
    }
#endif

private:
    template <class Function> report collect(const Function &called, error &failure, flags with, const call *until) noexcept
    {
        gc_report *ended = nullptr;
        gc_error *reason = nullptr;
        called(get(), static_cast<std::uint32_t>(with), until == nullptr ? nullptr : until->get(), &ended, &reason);
        failure = error(reason);
        return report(ended);
    }
#ifdef CRIGC_EXCEPTIONS
    template <class Function> report collect_or_throw(const Function &called, flags with, const call *until)
    {
        error failure;
        detail::callbacks_of_a_call callbacks;
        report ended = collect(called, failure, with, until);
        callbacks.rethrow();
        if (failure)
            throw pass_error(failure, std::move(ended));
        return ended;
    }
#endif

    /* Freed after the engine. */
    std::unique_ptr<detail::kept_functions> functions_;
    detail::owned<gc_engine, gc_engine_free> owned_;
};

#ifndef CRIGC_EXCEPTIONS
} // namespace without_exceptions
#endif
} // namespace crigc

#undef CRIGC_C
#endif
