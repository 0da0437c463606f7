#include "daemon/watched_request.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "daemon/file_request.hpp"
#include "daemon/watch_mailbox.hpp"

namespace cryored::daemon {
namespace {

/// So many daemons, or attempts of one, may leave a request before it is answered with an error: one that ends each
/// daemon that takes it must not go round for ever.
constexpr int most_generations = 8;
constexpr double first_looks = 5, slow_looks = 60;  ///< seconds

}  // namespace

WatchedRequest::WatchedRequest(WatchContext& context, std::string path, std::string root)
    : context_(context), path_(std::move(path)), root_(std::move(root)), star_(stem_of_request(path_) + ".star") {}

WatchedRequest::~WatchedRequest() = default;

bool WatchedRequest::has_news() const { return mailbox_ && mailbox_->ended(); }

void WatchedRequest::note(const std::string& event, const Json& fields) {
  if (!context_.log) return;
  Json all{{"file", path_}};
  if (request_) all["nonce"] = request_->nonce, all["generation"] = generation_;
  all.update(fields);
  context_.log(event, all);
}

void WatchedRequest::note_once(const std::string& event, const std::string& why) {
  if (noted_ == event + why) return;
  noted_ = event + why;
  note(event, {{"warning", why}});
}

void WatchedRequest::look(double now) {
  next_look_ = now + 1;
  if (!read_request(now)) return;
  if (phase_ == Phase::unproven) {
    const double age = now - first_seen_;
    next_look_ = now + (age < first_looks ? 0.06 : age < slow_looks ? 1 : 5);
    if (age > slow_looks) note_once("watch.abandoned", "nobody waits for this request: it is left as it is");
    return;
  }
  if (phase_ != Phase::answered && caller_.seconds() > context_.options.silence) {
    note("watch.caller-silent", {{"warning", "the caller gives no sign of life: cancelled"}});
    give_up("the caller gave no sign of life");
    phase_ = Phase::unproven;
    first_seen_ = now;
    return;
  }
  switch (phase_) {
    case Phase::free:
      return look_at_others(now);
    case Phase::collecting:
      return collect(now);
    case Phase::submitted:
      return follow(now);
    case Phase::answered:
      if (unwritten_) write_answer(now);
      return;
    case Phase::unproven:
      return;
  }
}

bool WatchedRequest::read_request(double now) {
  struct stat info {};
  if (lstat(path_.c_str(), &info) != 0) {
    if (!is_gone(errno)) return false;
    forget();
    over_ = true;
    return false;
  }
  if (!S_ISREG(info.st_mode)) {
    note_once("watch.refused", S_ISLNK(info.st_mode) ? "the request is a symbolic link" : "the request is no file");
    return false;
  }
  const auto text = read_small_file(path_);
  const auto parsed = text ? parse_request(*text) : std::nullopt;
  if (!parsed) {
    note_once("watch.refused", text ? "the file is no request" : "the file cannot be read, or is too large");
    return false;
  }
  if (request_ && request_->nonce != parsed->nonce) forget();
  if (!request_) first_seen_ = now;
  request_ = parsed;
  // A request that lies here since yesterday looks like a new one; only that its caller goes on writing tells them
  // apart.
  if (caller_.see(parsed->beat, now) && phase_ == Phase::unproven) phase_ = Phase::free;
  return true;
}

/// The caller has withdrawn the request, or has put another one in its place.
void WatchedRequest::forget() {
  if (ticket_ != 0) context_.queue.cancel(ticket_);
  if (request_ && generation_ >= 0) {
    unlink(answer_file(star_, request_->nonce, generation_).c_str());
    if (phase_ != Phase::answered) note("watch.withdrawn");
  }
  request_.reset();
  phase_ = Phase::unproven;
  caller_ = other_ = Stillness();
  generation_ = left_generation_ = -1;
  ticket_ = 0;
  mailbox_.reset();
  unwritten_ = false;
  files_stamp_.clear();
  noted_.clear();
}

void WatchedRequest::look_at_others(double now) {
  const int highest = highest_generation(star_, request_->nonce);
  if (highest < 0) return claim(0, now);
  const auto text = read_small_file(answer_file(star_, request_->nonce, highest));
  const auto answer = text ? parse_answer(*text) : std::nullopt;
  if (answer && answer->state == "done") {
    phase_ = Phase::answered;
    return;
  }
  other_.see((static_cast<std::uint64_t>(highest) << 40) + (answer ? answer->beat : 0), now);
  const bool left = answer && answer->state == "left", dead = answer && holder_is_dead(answer->holder);
  if (left || dead || other_.seconds() > context_.options.silence) return claim(highest + 1, now);
}

/// A request that another daemon must compute, or may be the only one to understand, is not taken from it.
bool WatchedRequest::leaves_it(int generation, double now) {
  const std::string why = elsewhere({*request_, path_, star_, root_}, context_.options.uid);
  if (!why.empty()) {
    note_once("watch.refused", why);
    return true;
  }
  if (request_->protocol == protocol_version) return false;
  if (left_generation_ != generation) left_generation_ = generation, left_since_ = now;
  next_look_ = now + 0.2;
  return now - left_since_ < context_.options.others_first;
}

void WatchedRequest::claim(int generation, double now) {
  if (!context_.taking || leaves_it(generation, now)) return;
  answer_ = FileAnswer();
  answer_.nonce = request_->nonce;
  answer_.state = "accepted";
  answer_.note = "looks at the files of the request";
  answer_.host = context_.host;
  answer_.holder = context_.holder;
  answer_.time = utc_text(std::time(nullptr));
  answer_.beat = 1;
  try {
    if (!create_exclusively(answer_file(star_, request_->nonce, generation), to_text(answer_))) {
      next_look_ = now + 0.1;  // another daemon was quicker
      return;
    }
  } catch (const Error& error) {
    note_once("watch.unanswerable", error.what());
    next_look_ = now + 5;
    return;
  }
  generation_ = generation;
  phase_ = Phase::collecting;
  collecting_since_ = last_beat_ = now;
  last_files_look_ = 0;
  files_stamp_.clear();
  other_ = Stillness();
  note("watch.accepted", {{"caller", request_->host + ", pid " + std::to_string(request_->pid)}});
  if (generation >= most_generations)
    return answer_error(path_ + ": " + std::to_string(generation) +
                            " daemons, or attempts of one, did not end it. Remedy: look at their logs (--log)",
                        1, now);
  const std::string why = refusal({*request_, path_, star_, root_}, context_.host);
  if (!why.empty()) return answer_error(why, 1, now);
  collect(now);
}

void WatchedRequest::collect(double now) {
  if (overtaken()) {
    generation_ = -1;
    phase_ = Phase::free;
    return;
  }
  const WatchOptions& options = context_.options;
  if (now - last_files_look_ < options.settle) {
    next_look_ = last_files_look_ + options.settle;
    return;
  }
  last_files_look_ = now;
  Request asked = to_compute({*request_, path_, star_, root_}, generation_);
  const FilesLook files = context_.inspect(asked, star_, request_->star_size, root_);
  if (files.state == FilesLook::State::refused) return answer_error(files.text, 1, now);
  if (files.state == FilesLook::State::complete) {
    if (files.stamp == files_stamp_) {
      mailbox_ = std::make_shared<WatchMailbox>(context_.wake);
      result_ = files.result;
      phase_ = Phase::submitted;
      ticket_ = context_.queue.submit(std::move(asked), mailbox_);
      return follow(now);
    }
    files_stamp_ = files.stamp;
    next_look_ = now + options.settle;
    return;
  }
  files_stamp_.clear();
  const double waited = now - collecting_since_;
  if (waited > options.patience)
    return answer_error(files.text + " (the daemon on " + context_.host + " waited " +
                            std::to_string(static_cast<int>(options.patience)) + " s for it, --watch-patience)",
                        1, now);
  beat("accepted", "waits for complete files: " + files.text, now);
  next_look_ = now + std::clamp(waited / 4, options.settle, std::max(options.settle, 1.0));
}

void WatchedRequest::follow(double now) {
  if (const auto outcome = mailbox_->outcome()) return answer_done(*outcome, now);
  if (mailbox_->was_cancelled() || overtaken()) {
    const bool lost = overtaken();
    if (lost) {
      note("watch.overtaken", {{"warning", "another daemon has taken the request over"}});
      context_.queue.cancel(ticket_);
      generation_ = -1;
      ticket_ = 0;
      mailbox_.reset();
    } else {
      give_up("the computation was cancelled");
    }
    phase_ = Phase::free;
    return;
  }
  beat("heartbeat", mailbox_->note(), now);
}

/// Hands the request on to whichever daemon takes it next.
void WatchedRequest::give_up(const std::string& why) {
  // The answer before the end of the computation: a caller that follows upon that end removes what it finds, and
  // nobody would remove an answer that came later.
  if (generation_ >= 0) {
    answer_.state = "left";
    answer_.note = why;
    write_answer(0);
    note("watch.left", {{"why", why}});
    generation_ = -1;
    unwritten_ = false;
  }
  if (ticket_ != 0) context_.queue.cancel(ticket_);
  ticket_ = 0;
  mailbox_.reset();
}

void WatchedRequest::answer_error(const std::string& message, int exit, double now) {
  Outcome outcome;
  outcome.exit = exit;
  outcome.err = "cryored: error: " + message + "\n";
  answer_done(outcome, now);
}

void WatchedRequest::answer_done(const Outcome& outcome, double now) {
  ticket_ = 0;
  mailbox_.reset();
  phase_ = Phase::answered;
  answer_.state = "done";
  answer_.note = outcome.exit == 0 ? "the map is in place" : "failed";
  answer_.exit = outcome.exit;
  answer_.out = outcome.out;
  answer_.err = outcome.err;
  struct stat info {};
  if (outcome.exit == 0 && folder_of(result_) == folder_of(path_) && stat(result_.c_str(), &info) == 0) {
    answer_.result = name_of(result_);
    answer_.result_size = static_cast<std::uint64_t>(info.st_size);
  }
  unwritten_ = true;
  write_answer(now);
  Json fields{{"exit", outcome.exit}};
  if (outcome.exit != 0) fields["error"] = outcome.err.substr(0, outcome.err.find('\n'));
  note("watch.answered", fields);
}

bool WatchedRequest::write_answer(double now) {
  ++answer_.beat;
  answer_.time = utc_text(std::time(nullptr));
  try {
    write_text_atomically(answer_file(star_, request_->nonce, generation_), to_text(answer_));
    unwritten_ = false;
    last_beat_ = now;
    return true;
  } catch (const Error& error) {
    note_once("watch.unanswerable", error.what());
    return false;
  }
}

void WatchedRequest::beat(const std::string& state, const std::string& text, double now) {
  const double interval = std::min(2.0, context_.options.silence / 5);
  next_look_ = now + interval / 4;
  if (now - last_beat_ < interval) return;
  answer_.state = state;
  answer_.note = text;
  write_answer(now);
}

bool WatchedRequest::overtaken() const {
  struct stat info {};
  return lstat(answer_file(star_, request_->nonce, generation_ + 1).c_str(), &info) == 0;
}

void WatchedRequest::finish() {
  if (!request_ || generation_ < 0) return;
  if (phase_ == Phase::submitted) {
    const auto outcome = mailbox_->outcome();
    if (outcome && !overtaken()) answer_done(*outcome, 0);
  }
  if (phase_ == Phase::answered) {
    if (unwritten_) write_answer(0);
  } else {
    give_up("the daemon left");
  }
}

}  // namespace cryored::daemon
