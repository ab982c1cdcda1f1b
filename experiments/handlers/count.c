/* A handler that reads its body to the end and says how long it was. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    static char buffer[1 << 16];
    long total = 0;
    for (ssize_t n; (n = read(0, buffer, sizeof buffer)) > 0;)
        total += n;
    printf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n%ld\n", total);
    return fflush(stdout) != 0;
}
