/* keeper PORT N HANDLER : the least that a server of CGI documents can be whose workers never wait. N workers accept, start HANDLER
   on a pipe (vfork + exec, with a pidfd), and pass client, pipe and pidfd to one process in one message. That process reads the
   document, which must come in one piece, sends it as a response, and waits for the end of the program. No parsing, no limits,
   no time-outs, no log: the ceiling for `--response document`. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/prctl.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#define HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n"
struct msg{struct msghdr h;struct iovec v;char data[256];union{struct cmsghdr c;char b[CMSG_SPACE(3*sizeof(int))];}u;};
struct response{int client,output,pidfd;char watched,ending;};
struct program{char*file,**argv,**env;int out;};
static int ep;
static void prepare(struct msg*m){m->v=(struct iovec){m->data,200};m->h=(struct msghdr){.msg_iov=&m->v,.msg_iovlen=1,.msg_control=m->u.b,.msg_controllen=sizeof m->u.b};}
static int run(void*p){struct program*r=p;dup2(r->out,1);execve(r->file,r->argv,r->env);_exit(127);}
static void watch(int fd,struct response*r){struct epoll_event e={.events=EPOLLIN,.data.ptr=r};epoll_ctl(ep,EPOLL_CTL_ADD,fd,&e);r->watched=1;}
static void unwatch(int fd,struct response*r){if(r->watched)epoll_ctl(ep,EPOLL_CTL_DEL,fd,0);r->watched=0;}
static void advance(struct response*r){
  char b[8192+sizeof HEAD];
  while(!r->ending){
    ssize_t n=read(r->output,b+sizeof HEAD-1,8192);
    if(n<0){if(!r->watched)watch(r->output,r);return;}
    if(n>0&&r->client>=0){
      memcpy(b,HEAD,sizeof HEAD-1);send(r->client,b,sizeof HEAD-1+n,MSG_NOSIGNAL|MSG_DONTWAIT);
      recv(r->client,b,sizeof b,MSG_DONTWAIT|MSG_TRUNC);close(r->client);r->client=-1;}
    if(n==0){unwatch(r->output,r);close(r->output);r->ending=1;}}
  struct pollfd p={r->pidfd,POLLIN,0};
  if(poll(&p,1,0)!=1){if(!r->watched)watch(r->pidfd,r);return;}
  unwatch(r->pidfd,r);close(r->pidfd);if(r->client>=0)close(r->client);free(r);}
static void keep(int in){
  ep=epoll_create1(EPOLL_CLOEXEC);struct epoll_event e={.events=EPOLLIN},q[64];epoll_ctl(ep,EPOLL_CTL_ADD,in,&e);
  for(;;){int n=epoll_wait(ep,q,64,-1),count=0;struct response*new[64];
    for(int i=0;i<n;i++){
      if(q[i].data.ptr){advance(q[i].data.ptr);continue;}
      while(count<64){struct msg m;prepare(&m);int fd[3];
        if(recvmsg(in,&m.h,MSG_DONTWAIT|MSG_CMSG_CLOEXEC)<=0)break;
        memcpy(fd,CMSG_DATA(&m.u.c),sizeof fd);fcntl(fd[1],F_SETFL,O_NONBLOCK);
        struct response*r=calloc(1,sizeof*r);*r=(struct response){fd[0],fd[1],fd[2],0,0};new[count++]=r;}
      for(int k=0;k<count;k++)advance(new[k]);}}}
static void serve(int l,int out,char*file){
  static char stack[64*1024] __attribute__((aligned(16)));char b[8192];
  char*argv[]={file,0};char*env[]={"GATEWAY_INTERFACE=CGI/1.1","SERVER_PROTOCOL=HTTP/1.1","REQUEST_METHOD=GET","PATH=/usr/bin:/bin","SERVER_NAME=localhost","SERVER_PORT=80","SCRIPT_NAME=/x","QUERY_STRING=","REMOTE_ADDR=127.0.0.1","SERVER_SOFTWARE=ceiling",0};
  signal(SIGCHLD,SIG_IGN);signal(SIGPIPE,SIG_IGN);
  for(;;){int f=accept4(l,0,0,SOCK_CLOEXEC),p[2],pidfd;if(f<0)continue;
    if(read(f,b,sizeof b)<=0||pipe2(p,O_CLOEXEC)){close(f);continue;}
    struct program r={file,argv,env,p[1]};
    if(clone(run,stack+sizeof stack,CLONE_VM|CLONE_VFORK|CLONE_PIDFD|SIGCHLD,&r,&pidfd)>0){
      struct msg m;prepare(&m);memset(m.data,0,200);int fd[3]={f,p[0],pidfd};
      m.u.c.cmsg_level=SOL_SOCKET;m.u.c.cmsg_type=SCM_RIGHTS;m.u.c.cmsg_len=CMSG_LEN(sizeof fd);memcpy(CMSG_DATA(&m.u.c),fd,sizeof fd);
      sendmsg(out,&m.h,MSG_NOSIGNAL);close(pidfd);}
    close(p[0]);close(p[1]);close(f);}}
int main(int c,char**v){
  if(c<4)return 2;
  int N=atoi(v[2]),o=1,s[2],l=socket(AF_INET,SOCK_STREAM|SOCK_CLOEXEC,0);
  struct sockaddr_in a={.sin_family=AF_INET,.sin_port=htons(atoi(v[1])),.sin_addr.s_addr=htonl(INADDR_LOOPBACK)};
  setsockopt(l,SOL_SOCKET,SO_REUSEADDR,&o,4);
  if(bind(l,(void*)&a,sizeof a)||listen(l,4096)||socketpair(AF_UNIX,SOCK_SEQPACKET|SOCK_CLOEXEC,0,s)){perror("keeper");return 1;}
  for(int w=0;w<=N;w++)if(!fork()){prctl(PR_SET_PDEATHSIG,SIGKILL);if(w)serve(l,s[0],v[3]);close(l);keep(s[1]);}
  for(;;)pause();}
