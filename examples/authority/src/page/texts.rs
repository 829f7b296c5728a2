//! The page's words.

use std::fmt::Write as _;

/// Name, Vietnamese, English. None holds a character that HTML gives a meaning to.
const TEXTS: [[&str; 3]; 18] = [
    ["lang", "vi", "en"],
    ["title", "Cấp mã xác nhận", "Issue a verification code"],
    ["languages", "Ngôn ngữ", "Languages"],
    [
        "intro",
        "Cấp mã cho người đã được xác nhận là F0, khi người đó đồng ý gửi báo cáo. Đọc mã cho họ nhập vào ứng dụng. \
         Không nhập tên, số điện thoại hay giấy tờ của ai ở đây.",
        "Issue a code to somebody who is a confirmed case and agrees to report. Read it out to them to type into the app. \
         No name, telephone number or document of anybody belongs here.",
    ],
    [
        "noscript",
        "Trang này cần JavaScript để cấp mã.",
        "This page needs JavaScript to issue codes.",
    ],
    ["token", "Khóa của nhân viên", "Staff token"],
    ["report_type", "Cách xác nhận", "How it was established"],
    ["confirmed_test", "Xét nghiệm dương tính", "A positive test"],
    [
        "confirmed_clinical_diagnosis",
        "Chẩn đoán của bác sĩ",
        "A doctor’s diagnosis",
    ],
    [
        "test_date",
        "Ngày lấy mẫu hoặc chẩn đoán",
        "Date of the test or diagnosis",
    ],
    [
        "onset",
        "Ngày bắt đầu có triệu chứng",
        "Date when symptoms began",
    ],
    [
        "onset_hint",
        "Để trống nếu không có triệu chứng hoặc không rõ.",
        "Leave empty if there are none, or it is not known.",
    ],
    ["issue", "Cấp mã", "Issue code"],
    ["issued", "Mã đã cấp", "Codes issued"],
    ["none_yet", "Chưa có mã nào.", "None yet."],
    [
        "footer",
        "Mỗi mã dùng được một lần. Trang này không lưu gì: đóng trang là mất danh sách.",
        "Each code can be used once. This page keeps nothing: close it and the list is gone.",
    ],
    ["vi_current", " aria-current=\"page\"", ""],
    ["en_current", "", " aria-current=\"page\""],
];

/// What the script says, as attributes.
const SCRIPT_TEXTS: [[&str; 3]; 15] = [
    ["left", "Còn lại {}", "{} left"],
    [
        "state_unused",
        "Chờ người nhận nhập mã",
        "Waiting to be typed in",
    ],
    ["state_used", "Đã dùng", "Used"],
    ["state_expired", "Đã hết hạn", "Expired"],
    [
        "state_blocked",
        "Bị khóa vì nhập sai nhiều lần: hãy cấp mã khác",
        "Blocked after wrong attempts: issue another",
    ],
    [
        "error_token_unknown",
        "Khóa của nhân viên không đúng.",
        "The staff token is not right.",
    ],
    [
        "error_test_date_in_future",
        "Ngày lấy mẫu ở tương lai.",
        "The date of the test is in the future.",
    ],
    [
        "error_test_date_too_old",
        "Ngày lấy mẫu đã quá lâu.",
        "The date of the test is too long ago.",
    ],
    [
        "error_test_date_missing",
        "Thiếu ngày lấy mẫu.",
        "The date of the test is missing.",
    ],
    [
        "error_onset_in_future",
        "Ngày có triệu chứng ở tương lai.",
        "The date when symptoms began is in the future.",
    ],
    [
        "error_onset_too_old",
        "Ngày có triệu chứng đã quá lâu.",
        "The date when symptoms began is too long ago.",
    ],
    [
        "error_malformed",
        "Dữ liệu nhập không hợp lệ.",
        "What was entered is not valid.",
    ],
    [
        "error_too_many_open",
        "Đang có quá nhiều mã chưa dùng. Hãy đợi.",
        "Too many codes are open. Please wait.",
    ],
    [
        "error_handle_unknown",
        "Không còn mã này.",
        "This code is no longer known.",
    ],
    [
        "error_unavailable",
        "Máy chủ không trả lời. Hãy thử lại.",
        "The service does not answer. Please try again.",
    ],
];

/// Puts the words into `template`.
pub(super) fn fill(template: String, english: bool) -> String {
    let text = |[name, vietnamese, english_text]: [&'static str; 3]| {
        (name, if english { english_text } else { vietnamese })
    };
    let mut attributes = String::new();
    for (name, text) in SCRIPT_TEXTS.map(text) {
        // Writing to a string does not fail.
        write!(attributes, " data-{name}=\"{text}\"").ok();
    }
    let page = TEXTS
        .map(text)
        .into_iter()
        .fold(template, |page, (name, text)| {
            page.replace(&format!("{{{{{name}}}}}"), text)
        });
    page.replace("{{texts}}", &attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_missing_in_either_language() {
        for english in [false, true] {
            let page = fill(super::super::TEMPLATE.replace("{{date_", ""), english);
            assert!(!page.contains("{{"), "{page}");
        }
    }

    #[test]
    fn no_text_breaks_out_of_its_attribute() {
        for [name, vietnamese, english] in TEXTS.iter().chain(&SCRIPT_TEXTS) {
            for text in [vietnamese, english] {
                let current = name.ends_with("_current");
                assert!(current || !text.contains(['"', '<', '>', '&']), "{name}");
            }
        }
    }
}
