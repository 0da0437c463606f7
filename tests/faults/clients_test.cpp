// Clients that misbehave, one after the other and all at once, and a daemon that must not care.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/faults/faults.hpp"

namespace cryored_test {
namespace {

std::string status_of(const std::string& answer) { return answer.substr(0, std::min<std::size_t>(12, answer.size())); }

std::string post(const std::string& body, const std::string& target = "/v1/reconstruct") {
  return "POST " + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

class FaultsClients : public FaultTest {
 protected:
  void SetUp() override {
    write_request({"--prior", "gaussian"});
    process = start_daemon();
    path = file_of_daemon(".sock");
    files_before = open_files(process->pid());
  }
  std::string answer(const std::string& bytes) const {
    Client client(path);
    client.send(bytes);
    return client.read_all();
  }
  /// Open files of the daemon, once they are no more than so many (or after 2 s).
  int files_at_rest(int most) const {
    for (int i = 0; i < 400 && open_files(process->pid()) > most; ++i) sleep_ms(5);
    return open_files(process->pid());
  }
  /// It has forgotten the bad ones, and computes as before.
  void expect_unharmed() {
    const Json now = settled();
    EXPECT_EQ(now["daemon"]["pid"], process->pid()) << "the same daemon";
    EXPECT_LE(files_at_rest(files_before), files_before);
    EXPECT_EQ(ask()["exit"], 0);
    EXPECT_TRUE(take_map());
  }

  std::string random_bytes(int most) {
    std::string bytes(static_cast<std::size_t>(between(0, most)), '\0');
    for (char& c : bytes) c = static_cast<char>(between(0, 255));
    return bytes;
  }
  /// A good request, broken in up to four places.
  std::string mutated() {
    std::string text = post(body({"nothing.star"}));
    for (int i = between(1, 4); i > 0 && !text.empty(); --i) {
      const auto at = static_cast<std::size_t>(between(0, static_cast<int>(text.size()) - 1));
      switch (between(0, 3)) {
        case 0:
          text[at] = static_cast<char>(between(0, 255));
          break;
        case 1:
          text.resize(at);
          break;
        case 2:
          text.insert(at, random_bytes(40));
          break;
        default:
          text.erase(at, static_cast<std::size_t>(between(1, 40)));
      }
    }
    return text;
  }

  void garbage(int count) {
    for (int i = 0; i < count; ++i) {
      Client client(path);
      ASSERT_TRUE(client.connected()) << i;
      const std::string bytes = i % 3 == 0   ? random_bytes(3000)
                                : i % 3 == 1 ? mutated()
                                             : post("{\"protocol\": 1, " + random_bytes(200) + "}");
      const auto half = static_cast<std::size_t>(between(0, static_cast<int>(bytes.size())));
      client.send(bytes.substr(0, half));
      if (i % 5 == 0) sleep_ms(1);
      client.send(bytes.substr(half));
      if (i % 2 == 0) continue;  // gone before the answer
      client.end_of_requests();
      const std::string said = client.read_all();
      EXPECT_TRUE(said.empty() || said.rfind("HTTP/1.1 ", 0) == 0) << said;
      EXPECT_EQ(said.find("\"exit\":0"), std::string::npos) << said;
    }
    expect_unharmed();
    report("garbage on the socket: random bytes, broken requests, wrong JSON", count,
           "refused or cut off; the same daemon serves on, no descriptor lost");
  }

  void oversized(int rounds) {
    const long before = resident_kb(process->pid());
    const std::string endless(70000, 'a');
    for (int round = 0; round < rounds; ++round) {
      EXPECT_EQ(status_of(answer("GET / HTTP/1.1\r\nX: " + endless + "\r\n\r\n")), "HTTP/1.1 431");
      EXPECT_EQ(status_of(answer("GET /" + endless + " HTTP/1.1\r\n\r\n")), "HTTP/1.1 431");
      EXPECT_EQ(status_of(answer("POST /v1/reconstruct HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n")),
                "HTTP/1.1 413");
      std::string chunks = "POST /v1/reconstruct HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
      for (int i = 0; i < 40; ++i) chunks += "11170\r\n" + endless + "\r\n";
      EXPECT_EQ(status_of(answer(chunks)), "HTTP/1.1 413");
      EXPECT_EQ(status_of(answer(post(std::string(500000, '[') + std::string(500000, ']')))), "HTTP/1.1 400") << "deep";
      Json many = Json::parse(body({}));
      for (int i = 0; i < 50000; ++i) many["words"].push_back("--x");
      EXPECT_EQ(status_of(answer(post(many.dump()))), "HTTP/1.1 400");
      many = Json::parse(body({}));
      for (int i = 0; i < 45000; ++i) many["environment"]["CRYORED_" + std::to_string(i)] = "1";
      EXPECT_EQ(status_of(answer(post(many.dump()))), "HTTP/1.1 400");
      many = Json::parse(body({std::string(900000, 'n') + ".star"}));
      EXPECT_NE(answer(post(many.dump())).find("\"exit\":1"), std::string::npos) << "a name of 900 kB";
    }
    if (!sanitized) {
      EXPECT_LT(resident_kb(process->pid()) - before, 64 * 1024) << "kB more";
    }
    expect_unharmed();
    report("oversized: headers, targets, bodies, chunks, depth, lists, names", 8L * rounds,
           "413, 431 or 400, resident memory within 64 MiB");
  }

  void versions() {
    const std::vector<std::pair<std::string, std::string>> wrong{
        {"0", "426"},   {"2", "426"},     {"-1", "426"},   {"1000000", "426"}, {"18446744073709551615", "426"},
        {"1.0", "400"}, {"\"1\"", "400"}, {"null", "400"}, {"[1]", "400"},     {"1e99", "400"}};
    for (const auto& [version, code] : wrong) {
      std::string text = body({files.star()});
      const auto at = text.find("\"protocol\":1");
      text.replace(at, 12, "\"protocol\":" + version);
      EXPECT_EQ(status_of(answer(post(text))), "HTTP/1.1 " + code) << version;
    }
    expect_unharmed();
    report("another protocol version", static_cast<long>(wrong.size()), "426 (400 where it is no whole number)");
  }

  /// Connections that say nothing, or one byte now and then, or stop in the middle.
  void slow(int count, bool until_cut) {
    std::vector<std::unique_ptr<Client>> clients;
    const std::string request = post(body({"nothing.star"}));
    for (int i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<Client>(path));
      ASSERT_TRUE(clients.back()->connected());
      if (i % 3 != 0) clients.back()->send(request.substr(0, request.size() * static_cast<std::size_t>(i % 3) / 3));
    }
    for (std::size_t byte = 0; byte < 3; ++byte) {
      for (const auto& client : clients) client->send("x");
      EXPECT_EQ(ask()["exit"], 0) << "others are served meanwhile";
      EXPECT_TRUE(take_map());
    }
    for (const auto& client : clients)
      if (until_cut) {
        EXPECT_EQ(status_of(client->read_all()), "HTTP/1.1 408");
      }
    clients.clear();
    expect_unharmed();
    report("clients that send nothing, or one byte now and then", count,
           until_cut ? "408 after 10 s; others served meanwhile" : "others served meanwhile");
  }

  /// Processes that hold a connection at some point of a request and are killed or stopped there.
  void half_open(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string request = post(body({"--prior", "red", "--weights", "builtin:wait=60", files.star()}));
      const std::size_t share = i % 2 == 0 ? request.size() : static_cast<std::size_t>(between(0, 200));
      const pid_t child = fork();
      if (child == 0) {
        Client client(path);
        client.send(request.substr(0, share));
        client.read_until(i % 4 == 0 ? "started" : "HTTP");
        for (;;) pause();
      }
      sleep_ms(between(1, 20));
      kill(child, i % 3 == 0 ? SIGSTOP : SIGKILL);
      if (i % 3 == 0) {
        EXPECT_EQ(status().is_object(), true);
        kill(child, SIGKILL);
      }
      waitpid(child, nullptr, 0);
    }
    expect_unharmed();
    EXPECT_FALSE(exists(files.result()));
    EXPECT_EQ(litter(), std::vector<std::string>{});
    report("half-open: clients stopped or killed in the middle of a request", count,
           "cancelled, nothing published, no descriptor lost");
  }

  void at_once(int count, int rounds) {
    std::vector<RequestFiles> all;
    for (int i = 0; i < count; ++i) {
      all.push_back(files);
      all.back().stem = "run" + std::to_string(i / 2) + "_it004_half" + std::to_string(1 + i % 2) + "_class001";
      all.back().write();
    }
    int equal = 0;
    for (int round = 0; round < rounds; ++round) {
      std::atomic<int> good{0};
      std::vector<std::thread> threads;
      for (const RequestFiles& mine : all)
        threads.emplace_back([&, star = mine.star()] {
          good += ask({"--prior", "red", "--weights", "builtin:wait=0.01", "--threads", "1", star})["exit"] == 0;
        });
      for (auto& thread : threads) thread.join();
      EXPECT_EQ(good, count);
      const std::string first = read_file(all[0].result());
      for (const RequestFiles& mine : all) {
        equal += !first.empty() && read_file(mine.result()) == first;
        std::filesystem::remove(mine.result());
      }
    }
    EXPECT_EQ(equal, count * rounds);
    expect_unharmed();
    report("64 requests at once over the socket", 1L * count * rounds, "0 wrong or missing maps");
  }

  void without_growth(int count) {
    const int warm = count / 10;
    long memory = 0;
    int descriptors = 0;
    for (int i = 0; i < count; ++i) {
      if (i == warm) {
        settled();
        memory = resident_kb(process->pid());
        descriptors = files_at_rest(files_before);
      }
      files.stem = "run_it" + std::to_string(100 + i % 50) + "_half1_class001";
      if (i < 50) files.write();
      if (i % 10 == 9) {
        EXPECT_EQ(status_of(answer(post("{}"))), "HTTP/1.1 400");
        EXPECT_EQ(status_of(answer("GET /metrics HTTP/1.1\r\n\r\n")), "HTTP/1.1 200");
      }
      const Json done = ask();
      ASSERT_EQ(done["exit"], 0) << done;
      ASSERT_TRUE(take_map()) << i;
    }
    settled();
    const long grown = resident_kb(process->pid()) - memory;
    const int at_the_end = files_at_rest(descriptors);
    if (!sanitized) {
      EXPECT_LE(grown, 4096) << "kB of " << memory;
    }
    EXPECT_EQ(at_the_end, descriptors);
    files.stem = "run_it100_half1_class001";
    report("small requests one after the other", count,
           "0 wrong or missing maps; resident memory " + std::to_string(memory) + " kB after " + std::to_string(warm) +
               " requests, " + std::to_string(memory + grown) + " kB at the end; " + std::to_string(descriptors) +
               " descriptors, then " + std::to_string(at_the_end));
  }

  std::unique_ptr<Process> process;
  std::string path;
  int files_before = 0;
};
class FaultsLongClients : public FaultsClients {};

TEST_F(FaultsClients, Garbage) { garbage(600); }
TEST_F(FaultsLongClients, Garbage) { garbage(30000); }
TEST_F(FaultsClients, Oversized) { oversized(1); }
TEST_F(FaultsLongClients, Oversized) { oversized(30); }
TEST_F(FaultsClients, AnotherProtocolVersion) { versions(); }
TEST_F(FaultsClients, Slow) { slow(60, false); }
TEST_F(FaultsLongClients, Slow) { slow(400, true); }
TEST_F(FaultsClients, HalfOpen) { half_open(24); }
TEST_F(FaultsLongClients, HalfOpen) { half_open(500); }
TEST_F(FaultsClients, ManyAtOnce) { at_once(64, 1); }
TEST_F(FaultsLongClients, ManyAtOnce) { at_once(64, 10); }
TEST_F(FaultsClients, NoGrowth) { without_growth(200); }
TEST_F(FaultsLongClients, NoGrowth) { without_growth(10000); }

}  // namespace
}  // namespace cryored_test
