/* The least handler that answers: a complete HTTP response and out.
 *
 * Without a C library a start costs next to nothing, so that the server is what is measured:
 *     cc -O2 -static -nostdlib -ffreestanding -o hello hello.c
 * With one (other processors):
 *     cc -O2 -DHOSTED -o hello hello.c
 * With -DDOCUMENT it is a CGI program: the server makes the response of its header fields and its body.
 */
static const char response[] =
#ifndef DOCUMENT
    "HTTP/1.1 200 OK\r\n"
#endif
    "Content-Type: text/plain\r\n"
    "Content-Length: 6\r\n"
#ifndef DOCUMENT
    "Connection: close\r\n"
#endif
    "\r\n"
    "hello\n";

#ifdef HOSTED
#include <unistd.h>

int main(void) {
    return write(1, response, sizeof response - 1) != (ssize_t)(sizeof response - 1);
}
#elif defined(__x86_64__)
static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

void _start(void) {
    long written = call(1 /* write */, 1, (long)response, sizeof response - 1);
    call(231 /* exit_group */, written != (long)(sizeof response - 1), 0, 0);
    __builtin_unreachable();
}
#else
#error "no system calls for this processor: compile with -DHOSTED"
#endif
