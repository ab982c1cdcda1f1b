/* strategies MODE PORT N : the least that each way of spreading connections over N workers can be.

   Every mode serves alike: accept, read once, send a fixed reply, close. The listening sockets have what Caffeine's have
   (TCP_DEFER_ACCEPT, TCP_NODELAY, backlog 4096). No worker is replaced, nothing is drained, and only SIGTERM is heeded,
   which ends all.

   block      blocking accept4 on one socket            reuseport  blocking accept4 on a socket per worker
   herd       epoll on one socket, all are woken        cbpf       the same, a classic BPF program draws the socket
   exclusive  the same with EPOLLEXCLUSIVE              steal      own socket, then the siblings', EPOLLEXCLUSIVE
   rearm      the same, DEL and ADD before each wait    turn       a strict turn, passed by an eventfd per worker
   uring      IORING_OP_ACCEPT, one at a time */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 512 };
static const char REPLY[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
static int workers, me, sockets[MOST], bells[MOST], epoll = -1;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int listening(int port, int group, int flags) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (group) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) fail("bind");
    return fd;
}

/* A = random; A %= workers; return A. */
static void draw(int fd) {
    struct sock_filter code[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, SKF_AD_OFF + SKF_AD_RANDOM},
                                 {BPF_ALU | BPF_MOD | BPF_K, 0, 0, workers},
                                 {BPF_RET | BPF_A, 0, 0, 0}};
    struct sock_fprog program = {3, code};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program)) fail("SO_ATTACH_REUSEPORT_CBPF");
}

static void watch(int fd, uint32_t how) {
    struct epoll_event event = {.events = EPOLLIN | how, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static int blocking(int fd) {
    return accept4(fd, 0, 0, SOCK_CLOEXEC);
}

/* -1: woken for nothing. */
static int polled(void) {
    struct epoll_event event;
    return epoll_wait(epoll, &event, 1, -1) == 1 ? blocking(event.data.fd) : -1;
}

static int rearmed(void) {
    epoll_ctl(epoll, EPOLL_CTL_DEL, sockets[0], 0);
    watch(sockets[0], EPOLLEXCLUSIVE);
    return polled();
}

static int in_turn(void) {
    uint64_t turn;
    if (read(bells[me], &turn, sizeof turn) != sizeof turn) return -1;
    int fd = blocking(sockets[0]);
    turn = 1;
    if (write(bells[(me + 1) % workers], &turn, sizeof turn) != sizeof turn) return -1;
    return fd;
}

static struct {
    int fd;
    unsigned *tail, *mask, *index, *head, *cq_mask, *cq_tail;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
} ring;

static void set_up_ring(void) {
    struct io_uring_params p = {0};
    ring.fd = syscall(SYS_io_uring_setup, 1, &p);
    if (ring.fd < 0) fail("io_uring_setup");
    size_t length = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    size_t array = p.sq_off.array + p.sq_entries * sizeof(unsigned);
    char *map = mmap(0, length > array ? length : array, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQ_RING);
    ring.sqes = mmap(0, p.sq_entries * sizeof *ring.sqes, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQES);
    if (map == MAP_FAILED || ring.sqes == MAP_FAILED) fail("mmap");
    ring.tail = (void *)(map + p.sq_off.tail), ring.mask = (void *)(map + p.sq_off.ring_mask);
    ring.index = (void *)(map + p.sq_off.array), ring.head = (void *)(map + p.cq_off.head);
    ring.cq_mask = (void *)(map + p.cq_off.ring_mask), ring.cqes = (void *)(map + p.cq_off.cqes);
    ring.cq_tail = (void *)(map + p.cq_off.tail);
}

static int by_ring(void) {
    unsigned tail = *ring.tail, slot = tail & *ring.mask;
    ring.sqes[slot] = (struct io_uring_sqe){.opcode = IORING_OP_ACCEPT, .fd = sockets[0], .accept_flags = SOCK_CLOEXEC};
    ring.index[slot] = slot;
    __atomic_store_n(ring.tail, tail + 1, __ATOMIC_RELEASE);
    syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0);
    unsigned head = *ring.head;
    if (head == __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE)) return -1;
    int fd = ring.cqes[head & *ring.cq_mask].res;
    __atomic_store_n(ring.head, head + 1, __ATOMIC_RELEASE);
    return fd;
}

static void serve(int fd) {
    char request[8192];
    if (recv(fd, request, sizeof request, 0) > 0) send(fd, REPLY, sizeof REPLY - 1, MSG_NOSIGNAL);
    close(fd);
}

static void work(const char *mode) {
    int is_polled = !strcmp(mode, "herd") || !strcmp(mode, "exclusive") || !strcmp(mode, "rearm") || !strcmp(mode, "steal");
    int own = !strcmp(mode, "reuseport") || !strcmp(mode, "cbpf") ? sockets[me] : sockets[0];
    int rearm = !strcmp(mode, "rearm"), turn = !strcmp(mode, "turn"), uring = !strcmp(mode, "uring");
    if (is_polled) epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!strcmp(mode, "herd")) watch(own, 0);
    if (!strcmp(mode, "exclusive") || rearm) watch(own, EPOLLEXCLUSIVE);
    if (!strcmp(mode, "steal")) {
        watch(sockets[me], EPOLLEXCLUSIVE);
        usleep(100000); /* owners come before their thieves in each wait queue */
        for (int step = 1; step < workers; step++) watch(sockets[(me + step) % workers], EPOLLEXCLUSIVE);
    }
    if (uring) set_up_ring();
    for (;;) {
        int fd = uring ? by_ring() : turn ? in_turn() : rearm ? rearmed() : is_polled ? polled() : blocking(own);
        if (fd >= 0) serve(fd);
    }
}

int main(int count, char **argument) {
    const char *modes[] = {"block", "reuseport", "cbpf", "herd", "exclusive", "rearm", "steal", "turn", "uring", 0};
    int known = 0;
    for (const char **mode = modes; count == 4 && *mode; mode++) known |= !strcmp(*mode, argument[1]);
    workers = known ? atoi(argument[3]) : 0;
    if (workers < 1 || workers > MOST) {
        fprintf(stderr, "strategies MODE PORT WORKERS (1 to %d); the modes are in the head of strategies.c\n", MOST);
        return 2;
    }
    const char *mode = argument[1];
    int port = atoi(argument[2]), steal = !strcmp(mode, "steal");
    int each = steal || !strcmp(mode, "reuseport") || !strcmp(mode, "cbpf");
    int flags = steal || !strcmp(mode, "herd") || !strcmp(mode, "exclusive") || !strcmp(mode, "rearm") ? SOCK_NONBLOCK : 0;
    for (int worker = 0; worker < (each ? workers : 1); worker++) sockets[worker] = listening(port, each, flags);
    if (!strcmp(mode, "cbpf")) draw(sockets[0]);
    for (int worker = 0; worker < workers; worker++) bells[worker] = eventfd(worker == 0, EFD_CLOEXEC);
    pid_t parent = getpid();
    for (me = 0; me < workers; me++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent) return 1;
            work(mode);
        }
    pause(); /* SIGTERM ends this process, and its end the workers */
}
