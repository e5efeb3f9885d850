/**
 * Japanese for the texts that the service writes in English: errors of fields and details of
 * problems. The service has no language; a text that is not listed here is shown as it is.
 */
/** @type {[RegExp, string][]} the groups of the pattern are $1, $2 ... in the translation */
export const serverTexts = [
  [/^Missing data for required field\.$|^Field may not be null\.$/, "この項目は必須です。"],
  [/^Shorter than minimum length (\d+)\.$/, "短すぎます（$1 文字以上）。"],
  [/^Longer than maximum length (\d+)\.$/, "上限の $1 を超えています。"],
  [/^(?:Length must be between|must be) (\d+) (?:and|to) (\d+)(?:\.| characters long)$/, "長さは $1 から $2 文字までです。"],
  [/^Must be greater than or equal to (\d+) and less than or equal to (\d+)\.$/, "$1 以上 $2 以下の値を入力してください。"],
  [/^Must be one of: (.+)\.$/, "次のいずれかにしてください：$1"],
  [/^Not a valid integer\.$/, "整数を入力してください。"],
  [/^Not a valid .+\.$/, "値の形式が正しくありません。"],
  [/^Control characters are not allowed\.$|^must not contain control characters$/, "制御文字は使えません。"],
  [/^must not contain NUL or an unpaired surrogate$/, "保存できない文字が含まれています。"],
  [/^must be from 0 to (\d+)$/, "0 以上 $1 以下の値を入力してください。"],
  [/^must be at most (\d+)$/, "上限は $1 件です。"],
  [/^a tag must be 1 to (\d+) characters long, without control characters$/, "タグは 1 から $1 文字までです。制御文字は使えません。"],
  [/^Not a price: "12\.50"\.$/, "価格は 12.50 のように入力してください。"],
  [/^([A-Z]{3}) has 0 decimals$/, "$1 では小数点以下は使えません。"],
  [/^([A-Z]{3}) has (\d) decimals$/, "$1 の小数点以下は $2 桁までです。"],
  [/^Not an ISO 4217 currency code\.$|^is not a currency of ISO 4217$/, "ISO 4217 の通貨コードを入力してください（例：JPY）。"],
  [/^Another item of this owner has this sku\.$/, "同じ SKU のアイテムがすでにあります。"],
  [/^The item that was created with this Idempotency-Key is deleted\.$/, "作成したアイテムはすでに削除されています。"],
  [/^You may store (\d+) items; delete some first\.$/, "保存できるアイテムは $1 件までです。不要なものを削除してください。"],
  [/^Your items may contain (\d+) bytes of text; delete or shorten some first\.$/, "アイテムの文字の合計は $1 バイトまでです。削除するか短くしてください。"],

  [/^Use (\d+) characters or more; a few words in a row are easy to remember\.$/, "$1 文字以上にしてください。いくつかの単語を並べると覚えやすくなります。"],
  [/^Use (\d+) characters at most\.$/, "$1 文字以内にしてください。"],
  [/^This is one of the first passwords that others would try\.$/, "よく使われるパスワードです。ほかのものにしてください。"],
  [/^Do not build it from your user name or the name of this service\.$/, "ユーザー名やこのサービスの名前をもとにしないでください。"],
  [/^This is easy to guess: .+$/, "推測されやすいパスワードです。1234 や qwerty のような並びや繰り返しを避け、いくつかの単語を並べてください。"],
  [/^Choose a password other than the temporary one\.$/, "渡されたパスワードとは別のものにしてください。"],
  [/^This is not your current password\.$/, "現在のパスワードが違います。"],
  [/^The password of this user is changed in the application, not here\.$/, "このユーザーのパスワードは、ここではなくアプリケーションで変更します。"],
  [/^Operators set the passwords of others; .+$/, "ここで設定できるのはほかのユーザーのパスワードです。自分のものは「アカウント」で変更してください。"],

  [/^Write 1 to 64 of the ASCII letters, .+$/, "半角の英数字と . _ @ + - で 1 から 64 文字まで、先頭は英数字にしてください。"],
  [/^There is already a user (.+)\.$/, "$1 というユーザーはすでに存在します。"],
  [/^There is no such role\.$/, "そのロールは存在しません。"],
  [/^No admin would be left; .+$/, "管理者がいなくなります。先に別のユーザーに管理者のロールを割り当ててください。"],
  [/^This user has permissions that you do not have\.$/, "このユーザーには、あなたにない権限があります。"],
  [/^Some of the users have permissions that you do not have\.$/, "あなたにない権限をもつユーザーがいます。"],
  [/^You cannot give a role with more permissions than yours\.$/, "あなたより権限の多いロールは割り当てられません。"],

  [/^Write 1 to 40 of a-z, 0-9, _ and -, beginning with a letter\.$/, "半角の小文字、数字、_ と - で 1 から 40 文字まで、先頭は英字にしてください。"],
  [/^There is no such scope; see GET \/scopes\.$/, "そのスコープは存在しません。"],
  [/^A user has this role; give them other roles first\.$/, "このロールのユーザーがいます。先に別のロールに変更してください。"],
  [/^The role with all permissions cannot be changed or deleted\.$/, "すべての権限をもつロールは、変更も削除もできません。"],
  [/^This role has permissions that you do not have\.$/, "このロールには、あなたにない権限があります。"],
  [/^You cannot give a scope that you do not have\.$/, "あなたにないスコープは割り当てられません。"],
  [/^This operation needs the scope (.+)\.$/, "この操作にはスコープ $1 が必要です。"],
];
