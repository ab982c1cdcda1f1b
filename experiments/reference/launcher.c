/* launcher PORT N HANDLER LOG : fixed.c's `cgi` with what the launch of a handler means in Caffeine, and nothing more. Each handler
   gets a process group, its folder as the working directory, a pipe of its own for standard error, and the variables that
   describe the request; a line per request goes to LOG, in batches. No checks, no limits, no time-outs. The gap between this
   program and `fixed cgi` is the price of those features; the rest of the gap between `fixed cgi` and Caffeine is its own. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
#include <fcntl.h>
#include <time.h>
#include <libgen.h>
#include <sys/socket.h>
#include <sys/prctl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>

enum { PIPES = 8, BATCH = 8192, VARIABLES = 18 };

/* The lines that are not written yet. */
static char lines[BATCH + 512];
static size_t unwritten;

static void note(int log, const char *peer, const char *method, const char *target, pid_t pid, long us) {
    struct timespec now;
    struct tm day;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &day);
    unwritten += strftime(lines + unwritten, 32, "%Y-%m-%dT%H:%M:%S", &day);
    unwritten += snprintf(lines + unwritten, 400,
                          ".%03ldZ INFO  peer=%s method=%.8s target=%.200s outcome=launched pid=%d launch_us=%ld\n",
                          now.tv_nsec / 1000000, peer, method, target, pid, us);
    if (unwritten > BATCH) {
        if (write(log, lines, unwritten) < 0) perror("launcher: log");
        unwritten = 0;
    }
}

/* Splits the request line and takes the host. Returns 0 unless the head is whole. */
static int parse(char *head, char **method, char **target, char **host) {
    char *end = strstr(head, "\r\n\r\n"), *name = strcasestr(head, "\r\nhost: ");
    *method = head;
    if (!end || !name || !(*target = strchr(head, ' '))) return 0;
    *(*target)++ = 0;
    char *space = strchr(*target, ' ');
    if (!space) return 0;
    *space = 0;
    *host = name + 8;
    *strchr(*host, '\r') = 0;
    return 1;
}

static long microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void serve(int listener, char *handler, char *folder, const char *port, int log) {
    static char head[16384], text[VARIABLES][600];
    static char *variables[VARIABLES + 1];
    char *arguments[] = {handler, 0};
    int errors[PIPES][2];
    unsigned turn = 0;
    for (int i = 0; i < PIPES; i++)
        if (pipe2(errors[i], O_CLOEXEC)) exit(1);
    for (int i = 0; i < VARIABLES; i++) variables[i] = text[i];
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        char *method, *target, *host, peer[32];
        int client = accept4(listener, (void *)&from, &size, SOCK_CLOEXEC);
        if (client < 0) continue;
        ssize_t n = recv(client, head, sizeof head - 1, 0);
        if (n > 0) head[n] = 0;
        if (n <= 0 || !parse(head, &method, &target, &host)) {
            close(client);
            continue;
        }
        inet_ntop(AF_INET, &from.sin_addr, peer, sizeof peer);
        const char *query = strchr(target, '?');
        const char *values[VARIABLES][2] = {
            {"GATEWAY_INTERFACE", "CGI/1.1"}, {"SERVER_SOFTWARE", "launcher"}, {"SERVER_PROTOCOL", "HTTP/1.1"},
            {"SERVER_NAME", host}, {"SERVER_PORT", port}, {"REQUEST_METHOD", method}, {"REQUEST_URI", target},
            {"REQUEST_SCHEME", "http"}, {"QUERY_STRING", query ? query + 1 : ""}, {"SCRIPT_NAME", target},
            {"SCRIPT_FILENAME", handler}, {"DOCUMENT_ROOT", folder}, {"REMOTE_ADDR", peer}, {"HTTP_HOST", host},
            {"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"INSTANCE", "launcher"}, {"WORKER", "0"}, {"PATH_INFO", ""}};
        for (int i = 0; i < VARIABLES; i++) {
            char *end = stpcpy(stpcpy(text[i], values[i][0]), "=");
            strncpy(end, values[i][1], 500);
        }
        int *error = errors[turn++ % PIPES];
        long begun = microseconds();
        pid_t pid = vfork();
        if (!pid) {
            setpgid(0, 0);
            dup2(client, 1);
            dup2(error[1], 2);
            if (!chdir(folder)) execve(handler, arguments, variables);
            _exit(127);
        }
        note(log, peer, method, target, pid, microseconds() - begun);
        close(client);
    }
}

int main(int count, char **arguments) {
    if (count < 5) return 2;
    int workers = atoi(arguments[2]), on = 1, nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = open(arguments[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char *handler = realpath(arguments[3], NULL), *folder = handler ? dirname(strdup(handler)) : NULL;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!handler || log < 0 || nothing < 0 || dup2(nothing, 0) < 0 || bind(listener, (void *)&address, sizeof address) ||
        listen(listener, 4096)) {
        perror("launcher");
        return 1;
    }
    for (int i = 0; i < workers; i++)
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            serve(listener, handler, folder, arguments[1], log);
        }
    for (;;) pause();
}
