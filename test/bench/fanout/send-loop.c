/*
 * The least a fan-out can cost: one send(2) per socket in a loop, on the very sockets of a running server. They are borrowed
 * with pidfd_getfd(2) (Linux 5.6; same user, and ptrace allowed).
 *
 *   send-loop <pid> <port>     prints the number of sockets, then reads lines from stdin: a message in hex, which is sent to all.
 *                              For each it prints the CLOCK_MONOTONIC ms at the start and at the end, and how many took it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* A connected TCP socket whose own end is the server's port. */
static int is_stream(int fd, int port) {
  struct sockaddr_in own, peer;
  socklen_t own_size = sizeof own, peer_size = sizeof peer;
  if (getsockname(fd, (struct sockaddr *)&own, &own_size) || own.sin_family != AF_INET) return 0;
  if (getpeername(fd, (struct sockaddr *)&peer, &peer_size)) return 0;
  return ntohs(own.sin_port) == port;
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  int port = atoi(arguments[2]);
  int process = syscall(SYS_pidfd_open, atoi(arguments[1]), 0);
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/fd", arguments[1]);
  DIR *folder = opendir(path);
  if (process < 0 || !folder) return perror("send-loop"), 1;

  static int sockets[1 << 20];
  int found = 0;
  for (struct dirent *entry; (entry = readdir(folder)) && found < 1 << 20;) {
    if (entry->d_name[0] == '.') continue;
    int fd = syscall(SYS_pidfd_getfd, process, atoi(entry->d_name), 0);
    if (fd < 0) continue;
    if (is_stream(fd, port)) sockets[found++] = fd;
    else close(fd);
  }
  printf("%d\n", found);
  fflush(stdout);

  static char line[1 << 20];
  static unsigned char message[1 << 19];
  while (fgets(line, sizeof line, stdin)) {
    int length = strcspn(line, "\n") / 2, taken = 0;
    for (int i = 0; i < length; i++) sscanf(line + 2 * i, "%2hhx", &message[i]);
    double start = now_ms();
    for (int i = 0; i < found; i++) taken += send(sockets[i], message, length, MSG_DONTWAIT | MSG_NOSIGNAL) == length;
    printf("%.4f %.4f %d\n", start, now_ms(), taken);
    fflush(stdout);
  }
  return 0;
}
