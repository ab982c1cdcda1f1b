/* dispatch PORT N : the least that a dispatcher can be. One process accepts and passes descriptors to N workers in turn
   (SCM_RIGHTS over a socketpair each), blind: no credit, no look at who is idle, nothing kept when a worker dies.
   Workers block in recvmsg() and send a fixed reply. On SIGTERM prints per-worker counts. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
static const char M[]="HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
static volatile sig_atomic_t stop;static void onterm(int s){(void)s;stop=1;}
struct Msg{struct msghdr h;struct iovec v;char data[32];union{struct cmsghdr c;char b[CMSG_SPACE(sizeof(int))];}u;};
static void prepare(struct Msg*m){memset(m,0,sizeof*m);m->v.iov_base=m->data;m->v.iov_len=18;m->h.msg_iov=&m->v;m->h.msg_iovlen=1;m->h.msg_control=&m->u;m->h.msg_controllen=sizeof m->u.b;}
int main(int c,char**v){int port=atoi(v[1]),N=c>2?atoi(v[2]):4,o=1,out[1024];pid_t kid[1024];char b[8192];
  if(N<1||N>512)return 2;
  long*cnt=mmap(0,8192,3,MAP_SHARED|MAP_ANONYMOUS,-1,0);
  int l=socket(AF_INET,SOCK_STREAM|SOCK_CLOEXEC,0);struct sockaddr_in a={.sin_family=AF_INET,.sin_port=htons(port),.sin_addr.s_addr=htonl(INADDR_LOOPBACK)};
  setsockopt(l,SOL_SOCKET,SO_REUSEADDR,&o,4);setsockopt(l,IPPROTO_TCP,TCP_DEFER_ACCEPT,&o,4);setsockopt(l,IPPROTO_TCP,TCP_NODELAY,&o,4);
  if(bind(l,(void*)&a,sizeof a)||listen(l,4096)){perror("bind");return 1;}
  for(int w=0;w<N;w++){int p[2];if(socketpair(AF_UNIX,SOCK_SEQPACKET|SOCK_CLOEXEC,0,p)){perror("socketpair");return 1;}out[w]=p[0];
    if(!(kid[w]=fork())){prctl(PR_SET_PDEATHSIG,SIGKILL);signal(SIGPIPE,SIG_IGN);
      for(;;){struct Msg m;prepare(&m);if(recvmsg(p[1],&m.h,MSG_CMSG_CLOEXEC)<=0)continue;
        int f;memcpy(&f,CMSG_DATA(&m.u.c),sizeof f);
        int r=recv(f,b,sizeof b,0);if(r>0){send(f,M,sizeof M-1,MSG_NOSIGNAL);cnt[w]++;}close(f);}}
    close(p[1]);}
  pid_t d=fork();
  if(!d){prctl(PR_SET_PDEATHSIG,SIGKILL);
    for(int w=0;;w=(w+1)%N){struct sockaddr_in peer;socklen_t len=sizeof peer;int f=accept4(l,(void*)&peer,&len,SOCK_CLOEXEC);if(f<0)continue;
      struct Msg m;prepare(&m);m.u.c.cmsg_level=SOL_SOCKET;m.u.c.cmsg_type=SCM_RIGHTS;m.u.c.cmsg_len=CMSG_LEN(sizeof f);memcpy(CMSG_DATA(&m.u.c),&f,sizeof f);
      sendmsg(out[w],&m.h,MSG_NOSIGNAL);close(f);}}
  struct sigaction sa={.sa_handler=onterm};sigaction(SIGTERM,&sa,0);
  while(!stop)pause();
  kill(d,SIGKILL);for(int w=0;w<N;w++)kill(kid[w],SIGKILL);
  printf("workers:");for(int w=0;w<N;w++)printf(" %ld",cnt[w]);puts("");}
