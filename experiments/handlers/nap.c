/* A handler that takes 20 ms, nearly all of it asleep: for faults that come while handlers run. */
#include <stdio.h>
#include <time.h>

int main(void) {
    nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    fputs("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnap\n", stdout);
    return fflush(stdout) != 0;
}
