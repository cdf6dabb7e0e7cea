/* Loaded before the C library by a node under test: its wall clock is as a file says, and no other clock is touched.
 * The file holds two numbers of eight bytes, in nanoseconds: what is added to the time, and, unless it is 0, the
 * time at which the clock stands still. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *wrong;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("WRONG_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, 2 * sizeof *wrong, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED)
        wrong = page;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    const int64_t second = 1000000000;
    int failed = (int)syscall(SYS_clock_gettime, clock, out);
    if (failed || !wrong || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return failed;
    int64_t time = wrong[1] ? wrong[1] : out->tv_sec * second + out->tv_nsec + wrong[0];
    out->tv_sec = time / second;
    out->tv_nsec = time % second;
    return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
