#pragma once
// A client of the socket that can also misbehave.

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace cryored_test {

class Client {
 public:
  explicit Client(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
    const timeval patience{30, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
  }
  /// On a port of 127.0.0.1.
  explicit Client(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(static_cast<std::uint16_t>(port));
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{30, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
  }
  ~Client() { hang_up(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  void send(const std::string& bytes) const { (void)!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  void post(const std::string& target, const std::string& body) const {
    send("POST " + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body);
  }
  void get(const std::string& target) const { send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"); }
  /// Until the text has come, or the end (or 30 s); everything so far.
  const std::string& read_until(const std::string& text) {
    char piece[4096];
    while (all_.find(text) == std::string::npos) {
      const ssize_t count = recv(fd_, piece, sizeof piece, 0);
      if (count <= 0) break;
      all_.append(piece, static_cast<std::size_t>(count));
    }
    return all_;
  }
  const std::string& read_all() { return read_until(std::string("\0none", 5)); }
  /// Closes the sending half only.
  void end_of_requests() const { shutdown(fd_, SHUT_WR); }
  void hang_up() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
  bool connected_ = false;
  std::string all_;
};

}  // namespace cryored_test
