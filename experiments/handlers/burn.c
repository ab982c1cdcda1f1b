/* A handler that takes the time that its request asks for: /burn?occupy=5ms, in ns, us, ms or s, an hour at most, as
 * workers do under `caffeine --respond`. It uses that much of a processor; /burn?sleep&occupy=5ms sleeps instead. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char response[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nburn\n";
static const double hour = 3.6e12;

/* What follows `name` in the query; a null pointer without it. */
static char *after(char *query, const char *name) {
    for (char *pair = query; pair; pair = strchr(pair, '&')) {
        pair += *pair == '&';
        if (strncmp(pair, name, strlen(name)) == 0)
            return pair + strlen(name);
    }
    return 0;
}

/* In ns; 0 for what is not a time. */
static double parsed(char *text) {
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    if (!text || *text < '0' || *text > '9')
        return 0;
    text[strcspn(text, "&")] = 0;
    char *unit;
    double number = strtod(text, &unit);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(unit, units[i].name) == 0)
            return number * units[i].ns < hour ? number * units[i].ns : hour;
    return 0;
}

int main(void) {
    char *query = getenv("QUERY_STRING");
    int sleeps = after(query, "sleep") != 0;
    double ns = parsed(after(query, "occupy="));
    struct timespec time = {.tv_sec = (time_t)(ns / 1e9)};
    time.tv_nsec = (long)(ns - time.tv_sec * 1e9);
    if (sleeps)
        nanosleep(&time, 0);
    for (struct timespec used = {0}; !sleeps && used.tv_sec * 1e9 + used.tv_nsec < ns;) {
        for (volatile int i = 0; i < 1000; i++) {} /* between system calls */
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    }
    return write(1, response, sizeof response - 1) != (ssize_t)(sizeof response - 1);
}
