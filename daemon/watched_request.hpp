#pragma once
// Inside of daemon/watcher: one request file, from its appearance to its end. The watcher's thread alone calls this.

#include <memory>
#include <optional>
#include <string>

#include "daemon/claim.hpp"
#include "daemon/exchange.hpp"
#include "daemon/watch_mailbox.hpp"
#include "daemon/watcher.hpp"

namespace cryored::daemon {

/// What all requests of a watcher share.
struct WatchContext {
  Queue& queue;
  const WatchOptions& options;
  const FilesInspector& inspect;
  LogSink log;
  std::string holder, host;
  std::function<void()> wake;
  bool taking = true;
};

class WatchedRequest {
 public:
  /// `path` of the request file below the watched folder `root`.
  WatchedRequest(WatchContext& context, std::string path, std::string root);
  ~WatchedRequest();
  WatchedRequest(const WatchedRequest&) = delete;
  WatchedRequest& operator=(const WatchedRequest&) = delete;

  /// Does what is due. Times in seconds of CLOCK_MONOTONIC.
  void look(double now);
  double next_look() const { return next_look_; }
  /// The queue has news for it.
  bool has_news() const;
  /// The request file is gone, and nothing is left to be done.
  bool over() const { return over_; }
  /// This daemon has taken it and owes the caller an answer; one that could not be written is owed as long as the
  /// caller gives signs of life.
  bool ours() const {
    const bool owed = unwritten_ && caller_.seconds() <= context_.options.silence;
    return phase_ == Phase::collecting || phase_ == Phase::submitted || (phase_ == Phase::answered && owed);
  }
  /// The daemon leaves.
  void finish();

 private:
  enum class Phase {
    unproven,    ///< nobody knows yet whether its caller lives
    free,        ///< the caller lives; another daemon may have it
    collecting,  ///< ours; its files are not complete
    submitted,   ///< ours, in the queue
    answered     ///< done, by whomever
  };

  bool read_request(double now);
  void forget();
  void look_at_others(double now);
  bool leaves_it(int generation, double now);
  void claim(int generation, double now);
  void collect(double now);
  void follow(double now);
  void give_up(const std::string& note);
  void answer_error(const std::string& message, int exit, double now);
  void answer_done(const Outcome& outcome, double now);
  bool write_answer(double now);
  void beat(const std::string& state, const std::string& note, double now);
  bool overtaken() const;
  void note(const std::string& event, const Json& fields = Json::object());
  void note_once(const std::string& event, const std::string& why);

  WatchContext& context_;
  const std::string path_, root_, star_;  ///< star_: absolute path of the STAR file
  Phase phase_ = Phase::unproven;
  bool over_ = false;
  double next_look_ = 0, first_seen_ = 0;
  std::string noted_;  ///< what was logged last, so that it is logged once

  std::optional<FileRequest> request_;
  Stillness caller_, other_;
  int generation_ = -1;       ///< of our answers; -1: none
  int left_generation_ = -1;  ///< that a daemon of the request's protocol may make, since left_since_
  double left_since_ = 0;
  FileAnswer answer_;
  double last_beat_ = 0;
  bool unwritten_ = false;  ///< answer_ is final, but could not be written yet

  double collecting_since_ = 0, last_files_look_ = 0;
  std::string files_stamp_;
  std::string result_;
  std::shared_ptr<WatchMailbox> mailbox_;
  Queue::Ticket ticket_ = 0;
};

}  // namespace cryored::daemon
