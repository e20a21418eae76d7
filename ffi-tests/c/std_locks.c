/* Tells ThreadSanitizer of the locks of Rust's standard library, which comes without it: a lock that has to be waited for is taken
 * inside of that library, where nothing is seen. Its functions are linked with --wrap; their names are macros, because they change. */
#include <stdbool.h>
#include <stdint.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define WRAP(name) JOIN(__wrap_, name)
#define REAL(name) JOIN(__real_, name)

void __tsan_acquire(void *lock);
void __tsan_release(void *lock);

void REAL(MUTEX_LOCK)(void *lock);
void WRAP(MUTEX_LOCK)(void *lock)
{
    REAL(MUTEX_LOCK)(lock);
    __tsan_acquire(lock);
}

void REAL(READ_LOCK)(void *lock);
void WRAP(READ_LOCK)(void *lock)
{
    REAL(READ_LOCK)(lock);
    __tsan_acquire(lock);
}

void REAL(WRITE_LOCK)(void *lock);
void WRAP(WRITE_LOCK)(void *lock)
{
    REAL(WRITE_LOCK)(lock);
    __tsan_acquire(lock);
}

void REAL(WAIT)(void *condvar, void *lock);
void WRAP(WAIT)(void *condvar, void *lock)
{
    __tsan_release(lock);
    REAL(WAIT)(condvar, lock);
    __tsan_acquire(lock);
}

bool REAL(WAIT_TIMEOUT)(void *condvar, void *lock, uint64_t seconds, uint32_t nanos);
bool WRAP(WAIT_TIMEOUT)(void *condvar, void *lock, uint64_t seconds, uint32_t nanos)
{
    __tsan_release(lock);
    bool woken = REAL(WAIT_TIMEOUT)(condvar, lock, seconds, nanos);
    __tsan_acquire(lock);
    return woken;
}
