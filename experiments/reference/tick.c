/* tick RATE SECONDS sleep|spin : how late the starts of a loop are that does nothing but keep its times, at equal
   intervals, asleep (clock_nanosleep) or awake in between: what the machine permits a load generator.
   Prints percentiles of the lateness in us. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int compare(const void *one, const void *other) {
    long long a = *(const long long *)one, b = *(const long long *)other;
    return (a > b) - (a < b);
}

int main(int count, char **argument) {
    double rate = count == 4 ? atof(argument[1]) : 0, seconds = count == 4 ? atof(argument[2]) : 0;
    size_t starts = rate * seconds;
    long long *late = calloc(starts + 1, sizeof *late);
    if (starts < 1 || !late) {
        fprintf(stderr, "tick RATE SECONDS sleep|spin\n");
        return 2;
    }
    int spin = !strcmp(argument[3], "spin");
    prctl(PR_SET_TIMERSLACK, 1);
    long long begin = now() + 1000000;
    for (size_t start = 0; start < starts; start++) {
        long long due = begin + (long long)(start * 1e9 / rate);
        struct timespec time = {due / 1000000000, due % 1000000000};
        if (spin)
            while (now() < due) {}
        else
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, 0);
        late[start] = now() - due;
    }
    qsort(late, starts, sizeof *late, compare);
    printf("p50_us %.1f p99_us %.1f max_us %.1f\n", late[starts / 2] / 1e3, late[starts * 99 / 100] / 1e3, late[starts - 1] / 1e3);
}
